"""Rows as the bytes of a binary COPY. What it is not sure of, it leaves to asyncpg's encoder and the checks of `values`."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NamedTuple

from stockifyd.api import Row

try:
    from stockifyd_postgres import _binary
except ImportError:  # no compiler where it was installed: asyncpg encodes, at twice the cost
    _binary = None  # type: ignore[assignment]

BLOCK_ROWS = 1000
"""Rows encoded together, and sent as one message."""
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
INFINITE_TIMES = {252455615999999999: 2**63 - 1, -63082281600000000: -(2**63)}
"""Python's last and first instant, in microseconds, stand for infinity, as asyncpg has it; so do its last and first day."""
INFINITE_DAYS = {date.max: 2**31 - 1, date.min: -(2**31)}
UNSURE = (TypeError, ValueError, ArithmeticError)
"""What wrong values raise on the way: asyncpg and `values` say what is wrong with them."""


class Kind(NamedTuple):
    """How values of a type become fields: by their code, or by what `encoder` makes of each distinct one of class `of`."""

    code: str
    of: type | None = None
    encoder: Callable[[Any], bytes] | None = None


def encode(kinds: Sequence[str], rows: list[Row]) -> list[bytes] | None:
    """The rows in blocks of BLOCK_ROWS; None where a column's type, or a value, is one that asyncpg must encode.

    What is not None equals what asyncpg sends, byte for byte, and has passed what `values.check` looks at.
    """
    if _binary is None or not all(kind in KINDS for kind in kinds):
        return None
    try:
        return _binary.encode(tuple(KINDS[kind] for kind in kinds), rows, BLOCK_ROWS)
    except UNSURE:
        return None


def _zoned(value: datetime) -> bytes:
    if type(value.tzinfo) is not timezone:  # an hour that comes twice: two instants that are equal, in a zone of rules
        raise ValueError("a zone with rules, or none")
    return _micros(value.astimezone(UTC) - EPOCH)


def _unzoned(value: datetime) -> bytes:
    return _micros(value - EPOCH.replace(tzinfo=None))


def _micros(since: timedelta) -> bytes:
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return struct.pack(">q", INFINITE_TIMES.get(micros, micros))


def _days(value: date) -> bytes:
    return struct.pack(">i", INFINITE_DAYS.get(value) or value.toordinal() - EPOCH.toordinal())


KINDS: Mapping[str, Kind] = {
    "smallint": Kind("h"),
    "integer": Kind("i"),
    "bigint": Kind("q"),
    "real": Kind("f"),
    "double precision": Kind("d"),
    "boolean": Kind("?"),
    "timestamp with time zone": Kind("o", datetime, _zoned),
    "timestamp without time zone": Kind("o", datetime, _unzoned),
    "date": Kind("o", date, _days),
    **dict.fromkeys(("text", "character varying", "character"), Kind("s")),
}
