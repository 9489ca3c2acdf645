"""Values that COPY would take without a word though they are wrong: found a column at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from stockifyd.api import Reject, Row

LIMITS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
FLOATS = ("double precision", "real")
TIMES = ("timestamp with time zone", "timestamp without time zone")
TEXTS = ("text", "character varying", "character", '"char"')
SLICE = 500
"""Rows looked at together: what is turned into columns stays in the processor's cache."""


def check(table: str, columns: Sequence[str], types: Mapping[str, str], rows: list[Row]) -> None:
    """Reject the first row with a value that its column must not have. On the good path no Python runs for a row.

    asyncpg truncates 1.5 into an integer, takes a naive time for a local one, drops what a row has beyond its columns, and
    PostgreSQL stores NaN: none of them fails by itself.
    """
    if not rows:
        return
    if set(map(len, rows)) != {len(columns)}:
        row = next(i for i, values in enumerate(rows) if len(values) != len(columns))
        raise Reject(f"a row has {len(rows[row])} values for {len(columns)} columns", table=table, row=row)
    for start in range(0, len(rows), SLICE):
        part = rows[start : start + SLICE]
        for name, values in zip(columns, zip(*part, strict=True), strict=True):
            if not _fine(types[name], values):
                find(table, columns, types, rows)
                break


def find(table: str, columns: Sequence[str], types: Mapping[str, str], rows: list[Row]) -> None:
    """Reject the first row with a value that cannot be encoded. Slow: for a batch that has failed."""
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        _blame(table, name, types[name], values=values)


def decimals(columns: Sequence[str], types: Mapping[str, str], rows: list[Row]) -> list[Row]:
    """The rows with a float in a numeric column as the decimal it is written as: asyncpg would store 0.1 with all 55 digits."""
    places = {place for place, name in enumerate(columns) if types[name] == "numeric"}
    if not places:
        return rows
    return [tuple(_decimal(value) if place in places else value for place, value in enumerate(row)) for row in rows]


def _decimal(value: Any) -> Any:
    return Decimal(float.__repr__(value)) if isinstance(value, float) else value


def _fine(kind: str, values: Sequence[Any]) -> bool:
    """Whether a column is surely good. A sum runs in C, and is an int, or finite, only if all of its values are."""
    try:
        if kind in LIMITS:
            return isinstance(sum(filter(None, values)), int)
        if kind in FLOATS:
            return math.isfinite(sum(filter(None, values)))
        if kind == "date":
            return not any(isinstance(v, datetime) for v in set(values))
        if kind == TIMES[0]:
            return all(v is None or (isinstance(v, datetime) and v.tzinfo is not None) for v in set(values))
        return kind != "numeric" or not any(isinstance(v, (float, Decimal)) and not math.isfinite(v) for v in set(values))
    except (TypeError, ValueError, ArithmeticError):
        return False


def _blame(table: str, name: str, kind: str, *, values: Sequence[Any]) -> None:
    """Reject naming the first row whose value does not fit; nothing if all do."""
    judge = JUDGES.get(kind)
    for row, value in enumerate(values):
        if judge is not None and value is not None and (fault := judge(kind, value)):
            raise Reject(f"column {name!r} ({kind}): {fault}", table=table, row=row)


def _integer(kind: str, value: Any) -> str:
    if not isinstance(value, int):
        return f"a {type(value).__name__}, not a whole number"
    return "" if -LIMITS[kind] <= value < LIMITS[kind] else "out of range"


def _float(kind: str, value: Any) -> str:
    if not isinstance(value, (int, float, Decimal)):
        return f"a {type(value).__name__}, not a number"
    try:
        number = float(value)
    except OverflowError:
        return "out of range"
    except ValueError:  # a decimal that signals
        return "not a finite number"
    if not math.isfinite(number):
        return "not a finite number"
    return "out of range" if kind == "real" and abs(number) > 3.4028235677973366e38 else ""  # noqa: PLR2004 - float4's largest


def _number(_kind: str, value: Any) -> str:
    if isinstance(value, Decimal):
        return "" if value.is_finite() else "not a finite number"
    if isinstance(value, (int, float)):
        return "" if math.isfinite(value) else "not a finite number"
    return "" if isinstance(value, str) else f"a {type(value).__name__}, not a number"


def _time(kind: str, value: Any) -> str:
    if not isinstance(value, datetime):
        return f"a {type(value).__name__}, not a time"
    zoned = kind == TIMES[0]
    if (value.tzinfo is not None) != zoned:
        return "a time without a zone" if zoned else "a time with a zone"
    return ""


def _date(_kind: str, value: Any) -> str:
    return "" if isinstance(value, date) and not isinstance(value, datetime) else f"a {type(value).__name__}, not a date"


def _text(_kind: str, value: Any) -> str:
    if not isinstance(value, str):
        return f"a {type(value).__name__}, not text"
    if "\0" in value:
        return "text with a NUL"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "text with half a surrogate pair"
    return ""


def _boolean(_kind: str, value: Any) -> str:
    return "" if isinstance(value, bool) else f"a {type(value).__name__}, not true or false"


JUDGES: Mapping[str, Callable[[str, Any], str]] = {
    **dict.fromkeys(LIMITS, _integer),
    **dict.fromkeys(FLOATS, _float),
    **dict.fromkeys(TIMES, _time),
    **dict.fromkeys(TEXTS, _text),
    "numeric": _number,
    "date": _date,
    "boolean": _boolean,
}
