"""Rows and messages as lines: of JSON, or of CSV."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from stockifyd.api import Message, Reject, Row, Table
from stockifyd_basic.cells import as_csv

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder[Any]()
_UNFIT = (TypeError, ValueError, OverflowError, RecursionError, csv.Error)
_CELLS = {int, float, str, type(None)}


def rows_as_json(name: str, table: Table) -> bytes:
    """One object a row. Bytes are text where they are UTF-8. Reject names a row that JSON cannot hold."""
    return _encoded(name, _without_bytes(table), lambda rows: _ENCODER.encode_lines(_named(table.columns, rows)))


def rows_as_csv(name: str, table: Table) -> bytes:
    """One record a row, as RFC 4180 has it. Null is empty. Reject names a row that cannot be text."""
    quick = as_csv(table.rows)
    return _encoded(name, _as_cells(table), _records) if quick is None else quick


def head_as_csv(columns: Sequence[str]) -> bytes:
    """The record of column names."""
    return _records([tuple(columns)])


def messages_as_json(messages: Iterable[Message]) -> bytes:
    """One value a message: what transforms made, else its bytes as JSON, else as text. Reject where it is no JSON."""
    try:
        return _ENCODER.encode_lines(map(_value, messages))
    except _UNFIT as error:
        raise Reject(f"cannot be JSON: {_kind(error)}") from error


def _encoded(name: str, rows: Sequence[Row], encode: Callable[[Sequence[Row]], bytes]) -> bytes:
    try:
        return encode(rows)
    except _UNFIT:
        for place, row in enumerate(rows):
            try:
                encode([row])
            except _UNFIT as error:
                raise Reject(f"cannot be written: {_kind(error)}", table=name, row=place) from error
        raise


def _kind(error: Exception) -> str:
    """What is wrong, without the value."""
    if isinstance(error, UnicodeError):
        return "a lone surrogate in a text"
    return str(error) if isinstance(error, TypeError) else "a number or a depth that JSON cannot have"


def _named(columns: Sequence[str], rows: Iterable[Row]) -> Iterable[dict[str, Any]]:
    return (dict(zip(columns, row, strict=True)) for row in rows)


def _without_bytes(table: Table) -> Sequence[Row]:
    """By itself JSON would have bytes as base64; a dead letter's payload is for people."""
    if not any(bytes in set(map(type, column)) for column in zip(*table.rows, strict=True)):
        return table.rows
    return [tuple(_text(value) if type(value) is bytes else value for value in row) for row in table.rows]


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _value(message: Message) -> Any:
    if message.value is not None:
        return message.value
    try:
        return _DECODER.decode(message.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _text(message.raw)


def _records(rows: Iterable[Row]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)  # its line end of two letters makes it quote either of them inside a text
    return out.getvalue().encode()


def _as_cells(table: Table) -> Sequence[Row]:
    columns = [column if set(map(type, column)) <= _CELLS else [*map(_cell, column)] for column in zip(*table.rows, strict=True)]
    return list(zip(*columns, strict=True))


def _cell(value: Any) -> Any:
    """As JSON has it, without the quotes: times in ISO 8601, true and false, lists and objects as JSON."""
    if value is None or type(value) in _CELLS:
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        found = _text(value)
        return found if isinstance(found, str) else f"base64:{found['base64']}"
    try:
        return _ENCODER.encode(value).decode().strip('"')
    except _UNFIT:
        return value  # the writer makes text of anything, and a lone surrogate is refused there
