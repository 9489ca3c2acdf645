"""The records of a file, each with the number of its line: lines as they are, or CSV as JSON objects."""

from __future__ import annotations

import bz2
import csv
import gzip
import importlib
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

import msgspec

from stockifyd.api import Drift, Unavailable

Record = tuple[int, bytes]
"""The number of its first line, from 0, and its bytes."""

_BOM = b"\xef\xbb\xbf"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
_ENCODER = msgspec.json.Encoder()


@dataclass
class Lines:
    """The lines of one file, unpacked by its name's ending. Everything here may wait for the disk."""

    path: Path
    line_max_bytes: int
    number: int = 0
    """Of the next line."""

    def __iter__(self) -> Iterator[Record]:
        """Each line as it is, with its end. Drift for what an operator must mend, Unavailable where the disk gives nothing."""
        try:
            with _opened(self.path) as file:
                for self.number in count():
                    line = file.readline(self.line_max_bytes + 1)
                    if not line:
                        return
                    if len(line) > self.line_max_bytes:
                        raise Drift(f"{self._here()} is longer than {self.line_max_bytes} bytes", hint="raise `line_max_bytes`")
                    yield self.number, line.removeprefix(_BOM) if self.number == 0 else line
        except _DAMAGE as error:
            raise Drift(f"{self._here()} cannot be unpacked: the file is damaged or cut short") from error
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            raise Drift(f"{self.path}: {error.strerror}", hint="is there such a file, and may we read it?") from error
        except OSError as error:
            raise Unavailable(f"{self._here()}: {error.strerror or error}") from error

    def _here(self) -> str:
        return f"{self.path}: line {self.number + 1}"


def plain(lines: Lines) -> Iterator[Record]:
    """Each line without its end; empty ones are left out."""
    for number, line in lines:
        if stripped := line.rstrip(b"\r\n"):
            yield number, stripped


@dataclass(frozen=True, slots=True)
class Csv:
    """How CSV becomes JSON: an object of each record. What does not fit the columns goes on as it stands, and is no JSON."""

    delimiter: str
    columns: Sequence[str] | None
    numbers: frozenset[str]

    def __call__(self, lines: Lines) -> Iterator[Record]:
        """The records; of the first come the names, where the options have none."""
        columns = self.columns
        for number, raw, fields in self._split(lines):
            if columns is None:
                columns = self._head(lines.path, fields)
            elif fields:
                yield number, self._object(columns, fields) or raw
            elif raw:
                yield number, raw

    def _split(self, lines: Lines) -> Iterator[tuple[int, bytes, list[str]]]:
        feed = _Feed(lines)
        reader = csv.reader(feed, delimiter=self.delimiter, strict=True)
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error:
                fields = []
            number, raw = feed.taken()
            yield number, raw.rstrip(b"\r\n"), fields

    def _head(self, path: Path, fields: Sequence[str]) -> Sequence[str]:
        if not fields or len(set(fields)) < len(fields) or not all(fields):
            raise Drift(f"{path}: line 1 does not name the columns, each once", hint="correct it, or name them by `columns`")
        return fields

    def _object(self, columns: Sequence[str], fields: Sequence[str]) -> bytes | None:
        if len(columns) != len(fields):
            return None
        try:
            return _ENCODER.encode({name: self._value(name, text) for name, text in zip(columns, fields, strict=True)})
        except UnicodeEncodeError:
            return None

    def _value(self, name: str, text: str) -> Any:
        if not text:
            return None
        return msgspec.Raw(text.encode()) if name in self.numbers and _NUMBER.fullmatch(text) else text


class _Feed:
    """Lines for a CSV reader, which takes as many as a record has."""

    def __init__(self, lines: Lines) -> None:
        self._lines, self._limit, self._path = iter(lines), lines.line_max_bytes, lines.path
        self._taken: list[Record] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self._taken.append((number, line))
            self._size += len(line)
            if self._size > self._limit:
                first = self._taken[0][0] + 1
                raise Drift(
                    f"{self._path}: the record from line {first} is longer than {self._limit} bytes",
                    hint="is a quote not closed there? Else raise `line_max_bytes`",
                )
            yield line.decode("utf-8", "surrogateescape")

    def taken(self) -> Record:
        """The first line's number and the bytes since the last call."""
        taken, self._taken, self._size = self._taken, [], 0
        return taken[0][0] if taken else 0, b"".join(line for _, line in taken)


def _opened(path: Path) -> IO[bytes]:
    openers: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _zstd}
    opened: IO[bytes] = openers[path.suffix](path) if path.suffix in openers else path.open("rb")
    return opened


def _zstd(path: Path) -> Any:
    try:
        zstd: Any = importlib.import_module("compression.zstd")  # of the standard library since Python 3.14
    except ImportError as error:
        raise Drift(f"{path}: this Python cannot read .zst", hint="Python 3.14 can; or unpack it: zstd -d") from error
    return zstd.open(path)
