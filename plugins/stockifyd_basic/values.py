"""The types of a column: what JSON value fits each, strictly, and what it becomes in a row."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from math import isfinite
from typing import Any, Literal

import msgspec

ColumnType = Literal["int", "bigint", "float", "text", "bool", "date", "timestamp", "json"]
Convert = Callable[[Any], Any]

INT4 = range(-(2**31), 2**31)
INT8 = range(-(2**63), 2**63)

_KINDS = {type(None): "null", bool: "bool", int: "int", float: "float", str: "text", dict: "object", list: "list", tuple: "list"}
# NUL as JSON writes it; two backslashes before are a backslash and a plain `u0000`.
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class UnfitError(ValueError):
    """A value that its column's type cannot hold; says what was expected, and the kind of what came."""


def kind_of(value: Any) -> str:
    """A value's kind, as a user calls it; it says nothing of the data."""
    return _KINDS.get(type(value), type(value).__name__)


def converter(wanted: ColumnType, timezone: tzinfo | None) -> Convert:
    """What turns a JSON value into the column's; it raises UnfitError. `timezone` is that of times without an offset."""
    if wanted == "timestamp":
        return lambda value: _timestamp(value, timezone)
    return _CONVERTERS[wanted]


def _whole(value: Any, within: range, name: str) -> int:
    if type(value) is not int:
        raise UnfitError(f"expected a whole number, got {kind_of(value)}")
    if value not in within:
        raise UnfitError(f"beyond what {name} holds")
    return value


def _float(value: Any) -> float:
    if type(value) not in (float, int):
        raise UnfitError(f"expected a number, got {kind_of(value)}")
    try:
        number = float(value)
    except OverflowError as error:
        raise UnfitError("beyond what a float holds") from error
    if not isfinite(number):
        raise UnfitError("expected a finite number")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise UnfitError(f"expected text, got {kind_of(value)}")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise UnfitError("a character that no table can hold (NUL or a lone surrogate)")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnfitError(f"expected true or false, got {kind_of(value)}")
    return value


def _date(value: Any) -> date:
    try:
        return msgspec.convert(value, date)
    except msgspec.ValidationError as error:
        raise UnfitError(f"expected a date, such as 2026-11-24, got {_other(value)}") from error


def _timestamp(value: Any, timezone: tzinfo | None) -> datetime:
    try:
        time = msgspec.convert(value, datetime)
    except msgspec.ValidationError as error:
        raise UnfitError(f"expected an RFC 3339 time, such as 2026-11-24T09:15:00+05:30, got {_other(value)}") from error
    if time.tzinfo is None:
        if timezone is None:
            raise UnfitError("a time without an offset; option 'timezone' says what it means")
        time = time.replace(tzinfo=timezone)
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise UnfitError("beyond the years 1 to 9999 in UTC") from error


def _json(value: Any) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError) as error:
        raise UnfitError("a lone surrogate, or a number that JSON cannot hold") from error
    if _ESCAPED_NUL.search(text):
        raise UnfitError("a character that no table can hold (NUL)")
    return text


def _other(value: Any) -> str:
    return "other text" if isinstance(value, str) else kind_of(value)


_CONVERTERS: dict[str, Convert] = {
    "int": lambda value: _whole(value, INT4, "an int (4 bytes)"),
    "bigint": lambda value: _whole(value, INT8, "a bigint (8 bytes)"),
    "float": _float,
    "text": _text,
    "bool": _bool,
    "date": _date,
    "json": _json,
}
