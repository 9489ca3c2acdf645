"""Rows as the bytes of a binary COPY. What it is not sure of, it leaves to asyncpg's encoder and the checks of `values`."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timezone
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
INFINITE = {252455615999999999: 2**63 - 1, -63082281600000000: -(2**63)}
"""Python's last and first instant, in microseconds, stand for infinity, as asyncpg has it."""
UNSURE = (TypeError, ValueError, ArithmeticError)
"""What wrong values raise on the way: asyncpg and `values` say what is wrong with them."""


class Kind(NamedTuple):
    """How values of a type become fields: what its code says in `_binary`, or, of a time in another zone than UTC, `encoder`."""

    code: str
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


def days(rows: list[Row], place: int) -> set[date] | None:
    """The days of a column whose values are all times in UTC, which is how most rows come; None where one is not, or is none."""
    if _binary is None:
        return None
    try:
        return _binary.days(rows, place)
    except UNSURE:
        return None


def _zoned(value: datetime) -> bytes:
    if type(value.tzinfo) is not timezone:  # an hour that comes twice: two instants that are equal, in a zone of rules
        raise ValueError("a zone with rules, or none")
    since = value.astimezone(UTC) - EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return struct.pack(">q", INFINITE.get(micros, micros))


KINDS: Mapping[str, Kind] = {
    "smallint": Kind("h"),
    "integer": Kind("i"),
    "bigint": Kind("q"),
    "real": Kind("f"),
    "double precision": Kind("d"),
    "boolean": Kind("?"),
    "timestamp with time zone": Kind("z", _zoned),
    "timestamp without time zone": Kind("p"),
    "date": Kind("D"),
    **dict.fromkeys(("text", "character varying", "character"), Kind("s")),
}
