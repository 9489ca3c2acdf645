"""Rows as the bytes of a binary COPY: what is taken, what is left to asyncpg, and that nothing wrong is taken."""

from __future__ import annotations

import gc
import math
import struct
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Reject
from stockifyd_postgres import encoding
from stockifyd_postgres.encoding import BLOCK_ROWS, EPOCH, KINDS, days, encode
from stockifyd_postgres.partitions import day_of
from stockifyd_postgres.values import check

pytestmark = pytest.mark.skipif(encoding._binary is None, reason="_binary was not compiled: there was no C compiler")

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
ZONE = "timestamp with time zone"
PLAIN = "timestamp without time zone"
INDIA = timezone(timedelta(hours=5, minutes=30))
YEARS = (EPOCH.replace(tzinfo=None, year=2), EPOCH.replace(tzinfo=None, year=9998))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
ANYTHING = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(), st.dates(), st.datetimes()),
    *(st.datetimes(timezones=st.timezones()), st.datetimes(timezones=st.just(UTC)), st.binary(max_size=3), st.just([])),
)


class Side(StrEnum):
    CALL = "CE"


class Loud(str):
    """Equal to any writing of itself."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


def fields(block: bytes, columns: int) -> Iterator[tuple[bytes | None, ...]]:
    """The fields of each row of a block, as PostgreSQL reads them."""
    at = 0
    while at < len(block):
        assert columns == struct.unpack_from(">h", block, at)[0]
        at, row = at + 2, list[bytes | None]()
        for _ in range(columns):
            size = struct.unpack_from(">i", block, at)[0]
            at += 4
            row.append(None if size < 0 else block[at : at + size])
            at += max(size, 0)
        yield tuple(row)


def taken(kinds: list[str], rows: list[tuple[Any, ...]]) -> list[tuple[bytes | None, ...]]:
    """The fields of rows that are surely taken."""
    blocks = encode(kinds, rows)
    assert blocks is not None
    return [row for block in blocks for row in fields(bytes(block), len(kinds))]


def _binary() -> Any:
    """The compiled module itself."""
    return encoding._binary


def field(kind: str, value: Any) -> bytes | None:
    return taken([kind], [(value,)])[0][0]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("smallint", -(2**15), b"\x80\x00"),
        ("integer", True, b"\0\0\0\1"),
        ("bigint", 2**63 - 1, b"\x7f" + b"\xff" * 7),
        ("real", -0.0, b"\x80\0\0\0"),
        ("double precision", 1, struct.pack(">d", 1.0)),
        ("double precision", 2**53 + 1, struct.pack(">d", 2.0**53)),
        ("boolean", True, b"\1"),
        ("boolean", False, b"\0"),
        (ZONE, EPOCH - timedelta(microseconds=1), b"\xff" * 8),
        (ZONE, EPOCH.astimezone(INDIA), bytes(8)),
        (ZONE, datetime.max.replace(tzinfo=UTC), b"\x7f" + b"\xff" * 7),
        (ZONE, datetime.min.replace(tzinfo=UTC), b"\x80" + bytes(7)),
        (PLAIN, EPOCH.replace(tzinfo=None, second=1), struct.pack(">q", 10**6)),
        (PLAIN, datetime.max.replace(tzinfo=UTC).replace(tzinfo=None), b"\x7f" + b"\xff" * 7),
        ("date", date(1999, 12, 31), b"\xff" * 4),
        ("date", date(2000, 1, 1), bytes(4)),
        ("date", date.max, b"\x7f\xff\xff\xff"),
        ("date", date.min, b"\x80\0\0\0"),
        ("text", "", b""),
        ("character varying", "₹ é", "₹ é".encode()),
        ("character", "x" * 300, b"x" * 300),
    ],
)
def test_a_value_as_postgres_reads_it(kind: str, value: Any, expected: bytes) -> None:
    """Network order, time since 2000, Python's first and last instant for infinity."""
    assert expected == field(kind, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", 1.0),
        ("integer", Decimal(1)),
        ("integer", 2**31),
        ("smallint", -(2**15) - 1),
        ("bigint", "1"),
        ("real", 3.5e38),
        ("double precision", math.nan),
        ("double precision", -math.inf),
        ("double precision", 2**1024),
        ("double precision", Decimal("0.1")),
        ("double precision", "1"),
        ("boolean", 1),
        (ZONE, NOW.replace(tzinfo=None)),
        (ZONE, NOW.date()),
        (ZONE, datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))),
        (PLAIN, NOW),
        (PLAIN, NOW.date()),
        ("date", NOW),
        ("text", 1),
        ("text", b"CE"),
        ("text", "\ud800"),
        ("text", Side.CALL),
        ("text", []),
    ],
)
def test_what_is_not_surely_right_is_left(kind: str, value: Any) -> None:
    """By itself, and beside a good value that it may be equal to."""
    good = {"text": "CE", ZONE: NOW, PLAIN: NOW.replace(tzinfo=None), "date": NOW.date(), "boolean": True}.get(kind, 1)
    assert [encode([kind], [(value,)]), encode([kind], [(good,), (None,), (value,)])] == [None, None]


def test_texts_that_say_they_are_equal() -> None:
    """A text of another class is not taken for the one that it is equal to."""
    assert encode(["text"], [("ce",), (Loud("CE"),)]) is None


def test_an_hour_that_comes_twice() -> None:
    """Python says of two instants an hour apart that they are equal, if they share a zone of rules."""
    zone = ZoneInfo("Europe/Berlin")
    first, second = (datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=zone) for fold in (0, 1))
    assert first == second
    assert [encode([ZONE], [(first,)]), encode([ZONE], [(first.astimezone(UTC),), (second,)])] == [None, None]


@pytest.mark.parametrize("kind", ["numeric", "jsonb", "uuid", "integer[]", "bytea", '"char"', "public.side"])
def test_a_type_that_is_not_known(kind: str) -> None:
    """One such column, and the table is asyncpg's."""
    assert encode(["integer", kind], [(1, None)]) is None


@pytest.mark.parametrize("rows", [[(1, 2), (1,)], [(1,), (1, 2, 3)], [(1, 2), 5], [(1, 2), [1, 2]], [(1, 2), "ab"]])
def test_rows_of_another_width(rows: list[Any]) -> None:
    """Are never encoded: the values would slip into other columns."""
    assert encode(["integer", "integer"], rows) is None


@pytest.mark.parametrize("count", [1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS])
def test_rows_stay_in_order(count: int) -> None:
    """Through blocks, with nulls here and there and texts of all lengths: COPY's line names the row."""
    rows = [(n, "x" * (n % 7), None if n % 3 else n / 2) for n in range(count)]
    found = taken(["integer", "text", "double precision"], rows)
    assert [(struct.pack(">i", a), b.encode(), c and struct.pack(">d", c)) for a, b, c in rows] == [
        (a, b, None if c is None else c) if c != bytes(8) else (a, b, 0.0) for a, b, c in found
    ]
    blocks = encode(["integer"], [(n,) for n in range(count)])
    assert blocks is not None
    assert math.ceil(count / BLOCK_ROWS) == len(blocks)


def test_a_column_of_nulls() -> None:
    """Takes no bytes but its length."""
    assert encode(["integer", "text"], [(1, None)] * 3) == [(b"\0\2\0\0\0\4\0\0\0\1" + b"\xff" * 4) * 3]


def test_long_texts_among_numbers() -> None:
    """The buffer grows as it must, wherever it is full."""
    rows = [("x" * (n * 37 % 5000), n, "y" * (n % 3), None) for n in range(2 * BLOCK_ROWS)]
    found = taken(["text", "smallint", "text", "bigint"], rows)
    assert [(a.encode(), struct.pack(">h", b), c.encode(), None) for a, b, c, _ in rows] == found


def test_an_encoder_that_takes_the_rows_away() -> None:
    """What Python code runs meanwhile may do anything, and breaks nothing."""
    rows: list[Any] = [(NOW.astimezone(timezone(timedelta(hours=n))),) for n in range(1, 20)]

    def clearing(_: datetime) -> bytes:
        rows.clear()
        return bytes(8)

    with pytest.raises(ValueError, match="went away"):
        _binary().encode((("z", clearing),), rows, BLOCK_ROWS)


@pytest.mark.parametrize("column", [("z", lambda _: "text"), ("z", lambda _: 1 / 0), ("?", None)])
def test_an_encoder_that_fails(column: Any) -> None:
    """Is an error of Python's, not of the process."""
    with pytest.raises((ValueError, ZeroDivisionError)):
        _binary().encode((column,), [(NOW.astimezone(timezone(timedelta(hours=1))),)], BLOCK_ROWS)


@given(st.datetimes(*YEARS, timezones=st.sampled_from([UTC, INDIA])), st.booleans())
def test_any_instant(value: datetime, naive: bool) -> None:
    """Microseconds since 2000, days since then, whatever the year."""
    value = value.replace(tzinfo=None) if naive else value
    since = (value.replace(tzinfo=UTC) if naive else value) - EPOCH
    assert struct.pack(">q", since // timedelta(microseconds=1)) == field(PLAIN if naive else ZONE, value)
    assert struct.pack(">i", value.toordinal() - EPOCH.toordinal()) == field("date", value.date())


@given(st.lists(st.datetimes(timezones=st.just(UTC)) | st.integers(0, 3).map(lambda n: NOW + timedelta(hours=11 * n))))
def test_days_of_times(times: list[datetime]) -> None:
    """Each once, in whatever order they come."""
    assert {day_of(time) for time in times} == days([(0, time) for time in times], 1)


@pytest.mark.parametrize("value", [None, NOW.date(), NOW.replace(tzinfo=None), NOW.astimezone(ZoneInfo("Asia/Kolkata")), 1])
def test_days_that_python_finds(value: Any) -> None:
    """Of what is no time in UTC, also among others that are."""
    assert [days([(value,)], 0), days([(NOW,), (value,)], 0), days([(NOW,), ()], 0)] == [None] * 3


def test_nothing_leaks() -> None:
    """Neither blocks nor what is known of a column outlives the call, also where it fails."""
    rows = [(NOW + timedelta(seconds=n), "text", 1.5) for n in range(500)]
    bad = [*rows, (NOW, "text", math.nan)]
    kinds = [ZONE, "text", "double precision"]
    encode(kinds, rows), encode(kinds, bad)
    tracemalloc.start()
    try:
        for _ in range(50):
            assert encode(kinds, rows)
            assert encode(kinds, bad) is None
            assert days(rows, 0)
            assert days(rows, 1) is None
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 20_000


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was installed without: all is asyncpg's."""
    monkeypatch.setattr(encoding, "_binary", None)
    assert encode(["integer"], [(1,)]) is None
    assert days([(NOW,)], 0) is None


@given(st.lists(st.tuples(*(st.none() | kind for kind in (st.integers(-9, 9), TEXT, st.booleans(), TEXT))), min_size=1))
def test_nulls_and_texts_of_any_length(rows: list[tuple[Any, ...]]) -> None:
    """Come out as they went in, in blocks of any size."""
    kinds = ["bigint", "text", "boolean", "text"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK_ROWS", 7)
        found = taken(kinds, rows)
    codes = {int: lambda v: struct.pack(">q", v), str: str.encode, bool: lambda v: bytes((v,)), type(None): lambda _: None}
    assert [tuple(codes[type(value)](value) for value in row) for row in rows] == found


@given(st.sampled_from(sorted(KINDS)), st.lists(ANYTHING, max_size=4))
def test_nothing_is_taken_that_the_checks_refuse(kind: str, values: list[Any]) -> None:
    """Whatever arrives: where the checks reject a row, it is left to them."""
    rows = [(value,) for value in values]
    try:
        check("options", ("c",), {"c": kind}, rows)
    except Reject:
        assert encode([kind], rows) is None
