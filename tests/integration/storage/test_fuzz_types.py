"""Values at every type's edge: a message that fits its columns is stored as it was sent, every other one is a dead letter."""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import chain
from typing import Any

import pytest
from hypothesis import strategies as st

from kit.fixtures_postgres import WRITER, Database
from kit.fuzzed import ANYTHING, DATES, FLOATS, INTEGERS, MOMENTS, TEXTS, Fuzzed, damaged, for_a_while, way_into
from stockifyd.testing import make
from stockifyd_basic.flatten import Flatten

pytestmark = pytest.mark.hypothesis
REFUSED_BY_THE_DATABASE = 77
SQL = f"""
CREATE TABLE things (id bigint, n integer, small smallint, big bigint CHECK (big <> {REFUSED_BY_THE_DATABASE}), single real,
  twice double precision, flag boolean, name varchar(4), note text, day date, at timestamptz);
CREATE TABLE others (id bigint, n integer, amount numeric, cents numeric(8, 2), doc jsonb);
GRANT SELECT, INSERT ON things, others TO {WRITER};
"""
"""Ours encodes the first; the second has types that only asyncpg does."""
TYPES = {"id": "bigint", "n": "int", "small": "int", "big": "bigint", "single": "float", "twice": "float", "flag": "bool"}
TYPES |= {"name": "text", "note": "text", "day": "date", "at": "timestamp", "amount": "float", "cents": "float", "doc": "json"}
TABLES = {"things": ("small", "big", "single", "twice", "flag", "name", "note", "day", "at")}
TABLES |= {"others": ("amount", "cents", "doc")}
GOOD = {"small": 1, "big": 3, "single": 0.5, "twice": 0.1, "flag": True, "name": "a", "note": "₹", "day": "2026-11-24"}
GOOD |= {"at": "2026-11-24T09:15:00+05:30", "amount": 1.25, "cents": 1.5, "doc": {"a": [1]}}
EDGES: Mapping[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("small", "big"), st.sampled_from([*INTEGERS, REFUSED_BY_THE_DATABASE]) | st.integers(-(2**64), 2**64)),
    **dict.fromkeys(("single", "twice", "amount", "cents"), st.sampled_from([*FLOATS, *INTEGERS]) | st.floats()),
    "flag": st.booleans(),
    **dict.fromkeys(("name", "note"), st.sampled_from(TEXTS) | st.text(max_size=6)),
    "day": st.sampled_from(DATES) | st.dates().map(str),
    "at": st.sampled_from(MOMENTS) | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    "doc": st.recursive(ANYTHING, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner)),
}
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

Row = tuple[Any, ...]
Stream = list[tuple[bytes, bool]]


class UnfitError(ValueError):
    """A value that its column cannot hold."""


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Messages of up to three rows, and whether each is a good one; every odd one has good neighbours."""
    odd = [(draw(messages(2 * index + 1)), False) for index in range(draw(st.integers(1, 5)))]
    return [(good(0), True), *(item for index, one in enumerate(odd, 1) for item in (one, (good(2 * index), True)))]


@st.composite
def messages(draw: st.DrawFn, number: int) -> bytes:
    """Bytes, or rows with some of their values at an edge, or of another type, and perhaps damaged on their way."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=64))
    rows: list[dict[str, Any]] = [{"n": n, **GOOD} for n in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(1, 3))):
        column = draw(st.sampled_from(sorted(GOOD)))
        draw(st.sampled_from(rows))[column] = draw(EDGES[column] | EDGES[column] | EDGES[column] | ANYTHING)
    raw = json.dumps({"id": number, "rows": rows}, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    return draw(damaged(raw))


def good(number: int) -> bytes:
    return json.dumps({"id": number, "rows": [{"n": 0, **GOOD}, {"n": 1, **GOOD}]}).encode()


@pytest.fixture(params=[["things"], ["things", "others"]], ids="-".join)
def tables(request: pytest.FixtureRequest) -> Mapping[str, tuple[str, ...]]:
    """Those in use, with their columns. What `flatten` makes of the first by its quick way it makes of both by the plain one."""
    return {name: TABLES[name] for name in request.param}


@pytest.fixture
def fuzzed(database: Database, encoder: str, tables: Mapping[str, tuple[str, ...]]) -> Iterator[Fuzzed]:
    """`flatten` for each table, and the sink."""
    database.sql(SQL)
    ways = [
        make(
            Flatten,
            table=table,
            each="rows",
            columns={
                "id": {"from": "$.id", "type": "bigint"},
                "n": {"type": "int"},
                **{name: {"type": TYPES[name], "required": False} for name in columns},
            },
        )
        for table, columns in tables.items()
    ]
    with way_into(database, {table: {"into": table} for table in tables}, *ways) as way:
        yield way


def test_each_that_fits_is_stored(fuzzed: Fuzzed, tables: Mapping[str, tuple[str, ...]]) -> None:
    """What every column can hold is there, value for value; the other messages are dead letters, each whole and once."""

    def check(stream: Stream) -> None:
        base = fuzzed.store(raw for raw, _ in stream)
        expected = [rows_of(raw, tables) for raw, _ in stream]
        assert all(rows for rows, (_, is_good) in zip(expected, stream, strict=True) if is_good)
        dead = [(base + index, stream[index][0]) for index, rows in enumerate(expected) if rows is None]
        assert dead == fuzzed.letters()
        for table, columns in tables.items():
            stored = fuzzed.rows(table, ("id", "n", *columns))
            assert Counter(row for rows in expected for row in (rows or {}).get(table, ())) == Counter(map(told_back, stored))

    for_a_while(streams(), check)


def rows_of(raw: bytes, tables: Mapping[str, tuple[str, ...]]) -> dict[str, list[Row]] | None:
    """What must be in each table, read by nothing of ours; None where a part of the message fits nowhere."""
    try:
        root = json.loads(raw.decode())
        told(root)  # what no JSON can hold is none, wherever it is
        if not isinstance(root, dict) or not isinstance(root.get("rows"), list):
            return None
        rows = [(row_of({**_item(item), "id": root.get("id")}, ("id", "n", *chain(*tables.values())))) for item in root["rows"]]
    except ValueError:
        return None
    return {table: [tuple(row[name] for name in ("id", "n", *columns)) for row in rows] for table, columns in tables.items()}


def _item(item: Any) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise UnfitError
    return item


def row_of(item: Mapping[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """An item in its columns' types; UnfitError."""
    if item["id"] is None or item.get("n") is None:
        raise UnfitError
    return {name: None if item.get(name) is None else FITS[name](item[name]) for name in columns}


def whole(bits: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise UnfitError
        return value

    return read


def big(value: Any) -> int:
    if value == REFUSED_BY_THE_DATABASE:
        raise UnfitError
    return whole(64)(value)


def twice(value: Any) -> float:
    if type(value) not in (int, float):
        raise UnfitError
    try:
        number = float(value)
    except OverflowError as error:
        raise UnfitError from error
    if not math.isfinite(number):
        raise UnfitError
    return number


def single(value: Any) -> float:
    try:
        found: tuple[float] = struct.unpack(">f", struct.pack(">f", twice(value)))
    except OverflowError as error:
        raise UnfitError from error
    return found[0]


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnfitError
    return value


def note(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise UnfitError
    return value


def name(value: Any) -> str:
    """PostgreSQL takes blanks beyond the width of a column, and drops them."""
    if note(value)[4:].strip(" "):
        raise UnfitError
    return value[:4]


def day(value: Any) -> date:
    if not DAY.fullmatch(note(value)):
        raise UnfitError
    return date.fromisoformat(value)


def at(value: Any) -> datetime:
    """A fraction of more than six digits is rounded."""
    found = TIME.fullmatch(note(value))
    if not found:
        raise UnfitError
    moment = datetime.fromisoformat(f"{found[1]}T{found[2]}{found[4].upper()}")
    micros = round(Decimal(f"0{found[3] or '.0'}") * 10**6)
    try:
        return (moment + timedelta(microseconds=micros)).astimezone(UTC)
    except OverflowError as error:
        raise UnfitError from error


def amount(value: Any) -> Fraction:
    return Fraction(Decimal(repr(twice(value))))


def cents(value: Any) -> Fraction:
    number = Decimal(repr(twice(value)))
    if abs(number) >= 10**6 or abs(rounded := number.quantize(Decimal("0.01"), ROUND_HALF_UP)) >= 10**6:
        raise UnfitError
    return Fraction(rounded)


def doc(value: Any) -> Any:
    if "\\u0000" in json.dumps(value).replace("\\\\", ""):
        raise UnfitError
    return told(value)


def told(value: Any) -> Any:
    """JSON as something that can be compared; UnfitError for what JSON cannot hold, though Python's reader lets it in."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, list):
        return tuple(map(told, value))
    elif isinstance(value, dict):
        return frozenset((told(key), told(inner)) for key, inner in value.items())
    elif type(value) is float and not math.isfinite(value):
        raise UnfitError
    elif type(value) in (int, float, Decimal):
        return Fraction(Decimal(repr(value) if type(value) is float else value))
    return value


def told_back(row: Row) -> Row:
    """A stored row, its numeric and jsonb values as `told` tells them; infinity is Python's first or last instant, both ways."""
    return tuple(_told_back(value) for value in row)


def _told_back(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return told(value) if isinstance(value, list | dict | Decimal) else value


FITS: Mapping[str, Callable[[Any], Any]] = {
    "id": whole(64),
    "n": whole(32),
    "small": whole(16),
    "big": big,
    "single": single,
    "twice": twice,
    "flag": flag,
    "name": name,
    "note": note,
    "day": day,
    "at": at,
    "amount": amount,
    "cents": cents,
    "doc": doc,
}
