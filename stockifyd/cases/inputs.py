"""The messages of a case, as a source would have yielded them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import UNSET

from stockifyd.api import Message, Partition, Position
from stockifyd.cases.model import BODIES, Case, Input
from stockifyd.spec.findings import Path as DocumentPath
from stockifyd.spec.findings import listed, one_line

PARTITION = Partition("test")
MAX_FILE_BYTES = 64 * 2**20

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Misfit(Exception):
    """An input that makes no message; `path` is where, below the case's messages."""

    def __init__(self, path: DocumentPath, fact: str, hint: str = "") -> None:
        super().__init__(fact)
        self.path, self.fact, self.hint = path, fact, hint


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a file of messages."""

    value: msgspec.Raw
    key: str | None = None
    timestamp_ms: int = 0
    headers: dict[str, str] = {}


_lines = msgspec.json.Decoder(Line)


def messages_of(case: Case, folder: Path) -> tuple[Message, ...]:
    """The case's messages, at offsets from 0. Misfit for an input that makes none."""
    made = list[Message]()
    for index, one in enumerate(case.messages):
        for raw, line in _bodies(one, index, folder):
            position = Position(PARTITION, len(made))
            key, headers = line.key if one.key is None else one.key, one.headers or line.headers
            made.append(
                Message(
                    position,
                    raw,
                    key=None if key is None else key.encode(),
                    timestamp_ms=line.timestamp_ms if one.timestamp is None else (one.timestamp - _EPOCH) // _MILLISECOND,
                    headers=tuple((name, value.encode()) for name, value in headers.items()),
                )
            )
    return tuple(made)


def _bodies(one: Input, index: int, folder: Path) -> Iterator[tuple[bytes, Line]]:
    """The bytes of each message of an input, and what a file of lines says beside them."""
    given = [body for body in BODIES if getattr(one, body) is not (UNSET if body == "json" else None)]
    if len(given) != 1:
        fact = f"{listed(given)} are one message's body" if given else "a message without a body"
        raise Misfit((index,), fact, f"write one of {listed(BODIES)}")
    path, nothing = (index, given[0]), Line(msgspec.Raw(b""))
    if one.lines is not None:
        for number, text in enumerate(_content(folder / one.lines, path).splitlines(), start=1):
            if text.strip():
                line = _line(text, number, path)
                yield bytes(line.value), line
    elif one.file is not None:
        yield _content(folder / one.file, path), nothing
    elif one.base64 is not None:
        yield _decoded(one.base64, path), nothing
    else:
        yield msgspec.json.encode(one.json) if one.text is None else one.text.encode(), nothing


def _decoded(text: str, path: DocumentPath) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misfit(path, f"not base64: {one_line(str(error)).lower()}") from error


def _content(path: Path, at: DocumentPath) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        fact = f"{str(path)!r} cannot be read: {(error.strerror or str(error)).lower()}"
        raise Misfit(at, fact, "a path starts at the folder of the test file") from error
    if len(content) > MAX_FILE_BYTES:
        raise Misfit(at, f"{str(path)!r} is bigger than {MAX_FILE_BYTES} bytes")
    return content


def _line(text: bytes, number: int, path: DocumentPath) -> Line:
    try:
        return _lines.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fact = f"line {number} is no message: {one_line(str(error))}"
        raise Misfit(path, fact, 'a line is {"key": "...", "timestamp_ms": 0, "value": ...}') from error
