"""Appending to a file so that what was written is on the disk, and what a crash left unfinished is cut off."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging import Logger
from pathlib import Path

from stockifyd.api import Drift, Retry, StockifydError, Unavailable

LOCK_SECS = 5.0
BLOCK = 2**20

_OPERATORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}


@dataclass
class Appender:
    """One file, which several lanes and processes may append to in turn. Everything here may wait for the disk."""

    path: Path
    log: Logger
    rotate_bytes: int | None = None
    rotate_secs: float | None = None
    quoted: bool = False
    """Whether a line end inside double quotes ends no line (CSV)."""
    _known: tuple[int, int] = field(default=(0, 0), init=False)
    """The file (inode) that we wrote last, and how long it was then."""

    def check(self) -> None:
        """Whether it can be written, as far as can be seen without writing."""
        with saying(self.path):
            place = self.path if self.path.exists() else self.path.parent
            if place is self.path and not place.is_file():
                raise IsADirectoryError(errno.EISDIR, "is no file")
            place.stat()
            if not os.access(place, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def append(self, data: bytes, head: bytes = b"") -> None:
        """Whole lines; on the disk when this returns. `head` is the first line of the file, and of every file that follows it."""
        with saying(self.path):
            while not self._appended(data, head):
                pass

    def rest(self) -> None:
        """Finish the file if its time is over, though nothing more comes."""
        with saying(self.path), suppress(FileNotFoundError), self._locked(create=False) as file:
            if self._is_over(file):
                self._finish()

    def _appended(self, data: bytes, head: bytes) -> bool:
        """False where the file was finished, and another one begins."""
        with self._locked() as file:
            size = self._sound(file)
            if size and (self._is_over(file) or self._is_full(size, data) or self._has_another_head(file, head)):
                self._finish()
                return False
            try:
                _put(file, data if size else head + data, size)
                os.fsync(file)
            except OSError:
                with suppress(OSError):  # the next one cuts it off
                    os.ftruncate(file, size)
                raise
            if not size:
                sync_folder(self.path.parent)
            about = os.fstat(file)
            self._known = (about.st_ino, about.st_size)
            return True

    @contextmanager
    def _locked(self, *, create: bool = True) -> Iterator[int]:
        """The file, ours alone for a moment: also against other processes. It may have been finished while we waited."""
        until = time.monotonic() + LOCK_SECS
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o644)
            try:
                if _lock(file) and _is_at(file, self.path):
                    yield file
                    return
            finally:
                os.close(file)
            if time.monotonic() > until:
                raise Retry(f"{self.path} is locked by another process for over {LOCK_SECS:.0f} s")
            time.sleep(0.005)

    def _sound(self, file: int) -> int:
        """How long the file is, without the unfinished line that a crash may have left."""
        about = os.fstat(file)
        inode, known = self._known
        if inode == about.st_ino and known == about.st_size:
            return known
        start = known if inode == about.st_ino and known < about.st_size else 0
        size = whole_lines(file, start, about.st_size) if self.quoted else last_line_end(file, about.st_size)
        if size != about.st_size:
            self.log.warning("%s: cut %d bytes of a line that was never finished", self.path, about.st_size - size)
            os.ftruncate(file, size)
        return size

    def _is_over(self, file: int) -> bool:
        if self.rotate_secs is None:
            return False
        about = os.fstat(file)
        return bool(about.st_size) and about.st_mtime // self.rotate_secs != time.time() // self.rotate_secs

    def _is_full(self, size: int, data: bytes) -> bool:
        return self.rotate_bytes is not None and size + len(data) > self.rotate_bytes

    def _has_another_head(self, file: int, head: bytes) -> bool:
        if not head or os.pread(file, len(head), 0) == head:
            return False
        if self.rotate_bytes is None and self.rotate_secs is None:
            raise Drift(
                f"{self.path} begins with other columns than those that arrive", hint="move it away, or write another file"
            )
        return True

    def _finish(self) -> None:
        self.path.rename(free_name(self.path))
        sync_folder(self.path.parent)


@contextmanager
def saying(path: Path) -> Iterator[None]:
    """Say what the disk's refusals mean: Drift where an operator must act, else Unavailable."""
    try:
        yield
    except OSError as error:
        raise meaning(error, path) from error


def meaning(error: OSError, path: Path) -> StockifydError:
    """The error that the runtime knows."""
    reason = f"{path}: {error.strerror or error}"
    if error.errno in _OPERATORS:
        return Drift(reason, hint="is it a file that we may write, in a folder that we may write?")
    hint = "is there such a folder? None is made" if error.errno == errno.ENOENT else "is the disk full, or away?"
    return Unavailable(reason, hint=hint)


def free_name(path: Path) -> Path:
    """A name beside it that says when, and that nobody has: quotes.csv becomes quotes.20261124T034500.123456Z.csv."""
    while True:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        name = path.with_name(f"{path.stem}.{now}{path.suffix}")
        if not name.exists():
            return name


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def last_line_end(file: int, size: int) -> int:
    """The place behind the last line end."""
    while size:
        start = max(0, size - BLOCK)
        at = os.pread(file, size - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        size = start
    return 0


def whole_lines(file: int, start: int, size: int) -> int:
    """The place behind the last line end that is not inside double quotes; `start` is one such place."""
    end, inside, at = start, False, start
    while at < size:
        block = os.pread(file, min(BLOCK, size - at), at)
        if not block:
            break
        place = at
        for number, part in enumerate(block.split(b'"')):
            if number:
                inside, place = not inside, place + 1
            if not inside and (line_end := part.rfind(b"\n")) >= 0:
                end = place + line_end + 1
            place += len(part)
        at += len(block)
    return end


def _put(file: int, data: bytes, at: int) -> None:
    left = memoryview(data)
    while left:
        done = os.pwrite(file, left, at)
        left, at = left[done:], at + done


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(file)
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
