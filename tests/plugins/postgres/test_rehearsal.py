"""A lookup that is told the rows of its table: what it finds is what it would find there."""
# what is expected stands first in an assert

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from stockifyd.api import Batch, Drift, Row, Table, configure
from stockifyd.testing import make_context, make_message
from stockifyd_postgres.lookup import Lookup

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
COLUMNS = ("at", "expiry", "strike", "side")
BASE: Mapping[str, Any] = {
    "table": "options",
    "from": "stored",
    "match": {"expiry": "expiry", "strike": "strike_price"},
    "columns": ["oi"],
}
AS_OF = {"as_of": {"column": "timestamp", "time": "at", "ago_secs": 600, "within_secs": 120}}
DAY, TOLD = date(2026, 11, 24), "2026-11-24"


def found(rows: Sequence[Mapping[str, Any]], *of_batch: Row, **options: Any) -> Batch:
    """What a lookup makes of a batch with a message for each row, told these rows."""
    lookup = Lookup(configure(Lookup, {**BASE, **options}), make_context("history"))
    lookup.rehearse(rows)
    messages = tuple(map(make_message, range(len(of_batch))))
    table = Table(COLUMNS, list(of_batch), list(range(1, len(of_batch) + 1)))
    return asyncio.run(lookup.apply(Batch(messages, {"options": table})))


def last(batch: Batch, table: str = "options") -> list[Any]:
    """The last column."""
    return [row[-1] for row in batch.tables[table].rows]


def at(minute: float, oi: int) -> dict[str, Any]:
    """A row of so many minutes after noon."""
    time = (NOON + timedelta(minutes=minute)).isoformat()
    return {"expiry": TOLD, "strike_price": 24000, "timestamp": time, "oi": oi}


def test_values_are_those_of_the_batch() -> None:
    """A text stands for a date where the batch has dates; 24000 is 24000.0, and a decimal; what differs is a miss."""
    rows = [{"expiry": TOLD, "strike_price": 24000, "oi": 7}, {"expiry": TOLD, "strike_price": 0.1, "oi": 8}]
    batch = [(NOON, DAY, strike, "CE") for strike in (24000.0, Decimal("24000.00"), 24000, 0.1, 0.2)]
    assert [7, 7, 7, 8, None] == last(found(rows, *batch))


def test_times_are_compared_by_their_instant() -> None:
    """Where the batch has times, texts are times, in whatever zone."""
    rows = [{"strike_price": "2026-11-23T17:30:00+05:30", "expiry": TOLD, "oi": 7}]
    assert [7] == last(found(rows, (NOON, DAY, NOON, "CE")))


def test_null_is_equal_to_nothing() -> None:
    """Neither a null of the batch nor one of the rows."""
    rows = [{"expiry": TOLD, "strike_price": None, "oi": 7}, {"expiry": TOLD, "strike_price": None, "oi": 8}]
    assert [None, None] == last(found(rows, (NOON, DAY, None, "CE"), (NOON, DAY, 24000.0, "CE")))


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([at(-10, 1)], 1),  # ten minutes ago, to the instant
        ([at(-11, 1), at(-10.5, 2), at(-9.9, 3)], 2),  # the newest that is not later
        ([at(-12, 1)], None),  # two minutes too old, to the instant
        ([at(-9.9, 1)], None),
        ([], None),
    ],
)
def test_as_of(there: list[dict[str, Any]], expected: int | None) -> None:
    """The newest row that is `ago_secs` old, and not `within_secs` older."""
    assert [expected] == last(found(there, (NOON, DAY, 24000.0, "CE"), **AS_OF))


def test_before_day_in() -> None:
    """The newest row from before the row's day in that zone; here on Monday that of Friday."""
    as_of = {"column": "timestamp", "time": "at", "before_day_in": "Asia/Kolkata", "within_secs": 5 * 86400}
    there = [at(-3 * 24 * 60, 1), at(-4 * 24 * 60, 2), at(-60, 3)]
    assert [1] == last(found(there, (NOON, DAY, 24000.0, "CE"), as_of=as_of))


def test_into_and_prefix() -> None:
    """`into` and `prefix` are what they are on a table."""
    batch = found([{"expiry": TOLD, "strike_price": 1, "oi": 7}], (NOON, DAY, 1.0, "CE"), into="past", prefix="past_")
    assert (("expiry", "strike", "past_oi"), [(DAY, 1.0, 7)]) == (batch.tables["past"].columns, batch.tables["past"].rows)
    assert COLUMNS == batch.tables["options"].columns


def test_a_miss_is_refused() -> None:
    """`on_miss: reject` makes a dead letter of the message."""
    rows = [{"expiry": TOLD, "strike_price": 1, "oi": 7}]
    batch = found(rows, (NOON, DAY, 1.0, "CE"), (NOON, DAY, 2.0, "CE"), on_miss="reject")
    assert ([7], ["no row of 'stored' matches its expiry, strike"]) == (last(batch), [one.reason for one in batch.rejected])


def test_a_value_that_the_column_cannot_have() -> None:
    """Its message is a dead letter, as it is on a table; its neighbour goes on."""
    batch = found([{"expiry": TOLD, "strike_price": 1, "oi": 7}], (NOON, DAY, 1.0, "CE"), (NOON, DAY, "one", "CE"))
    assert ([7], ["column 'strike', looked up as double precision: a str, not a number"]) == (
        last(batch),
        [one.reason for one in batch.rejected],
    )


def test_found_values_stay_as_they_are_told() -> None:
    """But where the batch has a column of that name, with times in it."""
    rows = [{"expiry": TOLD, "strike_price": 1, "at": NOON.isoformat(), "note": TOLD}]
    batch = found(rows, (NOON, DAY, 1.0, "CE"), columns=["at", "note"], prefix="past_")
    assert (NOON, TOLD) == batch.tables["options"].rows[0][-2:]


def test_found_values_are_read_as_those_they_are_compared_with() -> None:
    """A time of `as_of` and a date of `match` are such where they are taken over, too, whatever the batch calls them."""
    options = {"match": {"expiry": "day", "strike": "strike_price"}, "columns": ["timestamp", "day"], "prefix": "past_"}
    row = {"day": TOLD, "strike_price": 1, "timestamp": (NOON - timedelta(minutes=10)).isoformat()}
    batch = found([row], (NOON, DAY, 1.0, "CE"), **options, **AS_OF)
    assert (NOON - timedelta(minutes=10), DAY) == batch.tables["options"].rows[0][-2:]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{**at(0, 1), "ltp": 2}], "no column 'ltp' \\(there are expiry, strike_price, timestamp, oi\\) - at `\\$\\[0\\].ltp`"),
        ([at(0, 1), {**at(1, 1), "expirys": 2}], "did you mean 'expiry'.* - at `\\$\\[1\\].expirys`"),
        ([{"expiry": TOLD, "timestamp": "2026-11-24T00:00:00Z"}], "a row without 'strike_price', by which it is found"),
        ([{"expiry": TOLD, "strike_price": 1}], "a row without 'timestamp', by which it is found"),
        ([{**at(0, 1), "strike_price": [1]}], "a list or mapping, by which no row is found - at `\\$\\[0\\].strike_price`"),
        ([{**at(0, 1), "timestamp": "2026-11-24T09:15:00"}], "is no time with an offset.* - at `\\$\\[0\\].timestamp`"),
        ([{**at(0, 1), "timestamp": None}], "None is no time with an offset"),
        ([at(0, 1), at(1, 1), {**at(0, 2), "strike_price": 24000.0}], "has the key of row 0, .* - at `\\$\\[2\\]`"),
    ],
)
def test_rows_that_cannot_be(rows: list[dict[str, Any]], told: str) -> None:
    """What is wrong with a row, and where; columns are those that the lookup asks for."""
    with pytest.raises(ValueError, match=told):
        Lookup(configure(Lookup, {**BASE, **AS_OF}), make_context("history")).rehearse(rows)


@pytest.mark.parametrize(("expiry", "told"), [("soon", "not date"), (20261124, "not date")])
def test_a_text_that_is_no_date(expiry: object, told: str) -> None:
    """It is said of which row, rather than found nowhere."""
    with pytest.raises(Drift, match=f"row 0 of the test file: 'expiry' is .*, {told}, which the batch has there"):
        found([{"expiry": expiry, "strike_price": 1}], (NOON, DAY, 1.0, "CE"))
