"""CSV a column at a time: it says what the slow way says."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd_basic.cells import as_csv, texts

INDIA = timezone(timedelta(hours=5, minutes=30))
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
KINDS: list[st.SearchStrategy[Any]] = [
    st.none() | st.integers(-(2**70), 2**70),
    st.none() | st.floats(),
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    st.none() | TEXTS,
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
    st.booleans(),
]
TABLES = st.lists(st.sampled_from(KINDS), min_size=1, max_size=4).flatmap(lambda kinds: st.lists(st.tuples(*kinds), max_size=6))


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def meaning(value: Any) -> Any:
    """What a reader makes of a cell: a number by its value, all else by its text."""
    if value is None:
        return ""
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return value.isoformat() if isinstance(value, date) else str(value)


@given(TABLES)
def test_a_reader_finds_the_same(rows: list[tuple[Any, ...]]) -> None:
    """Whatever the values: where it does not leave them to the slow way, they come back."""
    found = as_csv(rows)
    if found is None:
        return
    assert [[meaning(cell) for cell in row] for row in rows] == [[meaning(cell) for cell in row] for row in read(found.decode())]


def test_rows_of_a_market() -> None:
    """Numbers, nulls, times and plain texts need no second look."""
    at = datetime(2026, 11, 24, 3, 45, tzinfo=UTC)
    rows = [(at, date(2026, 12, 1), 24000.0, "CE", None, 75), (at, date(2026, 12, 1), 24050.5, None, 0.05, None)]
    assert (
        b"2026-11-24T03:45:00+00:00,2026-12-01,24000.0,CE,,75\r\n2026-11-24T03:45:00+00:00,2026-12-01,24050.5,,0.05,\r\n"
        == as_csv(rows)
    )


@pytest.mark.parametrize(
    "column",
    [
        [1.0, float("nan")],
        [float("inf"), None],
        [1e308, 1e308],
        ["a,b"],
        ['"'],
        ["a\r"],
        [True, False],
        [b"a"],
        [1, "a"],
        [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 5, 30, tzinfo=INDIA)],
        [date(2026, 1, 1), None],
    ],
    ids=repr,
)
def test_what_is_left_to_the_slow_way(column: list[Any]) -> None:
    """It is never guessed at."""
    assert texts(column) is None


def test_a_lone_surrogate_is_left_to_the_slow_way() -> None:
    """Which names the row."""
    assert as_csv([("\ud800", 1)]) is None
