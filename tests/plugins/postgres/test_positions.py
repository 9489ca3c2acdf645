"""Days and offsets: every time has its place, and comes back from it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stockifyd_postgres.positions import MESSAGES, days

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1990, 1, 2), datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001 - hypothesis gives the zone
NUMBERS = st.integers(0, MESSAGES - 1)


@given(TIMES, st.timedeltas(timedelta(microseconds=1), timedelta(days=40)))
def test_days_cover_an_interval(start: datetime, length: timedelta) -> None:
    """From its start to its end, one after the other, each inside its UTC day, none empty."""
    found = list(days(start, start + length))
    assert (start, start + length) == (found[0].start, found[-1].end)
    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(day.midnight <= day.start < day.end <= day.midnight + timedelta(days=1) for day in found)


@given(TIMES, NUMBERS)
def test_a_time_comes_back_from_its_offset(at: datetime, number: int) -> None:
    """To the microsecond, whichever of its messages it is."""
    [day] = days(at, at + timedelta(microseconds=1))
    assert at == day.at(day.offset(at, number))


@given(st.tuples(st.integers(0, 86_400 * 10**6 - 1), NUMBERS), st.tuples(st.integers(0, 86_400 * 10**6 - 1), NUMBERS))
def test_offsets_rise_as_messages_come(one: tuple[int, int], other: tuple[int, int]) -> None:
    """By time, then by number; and a ledger's eight bytes hold the last one."""
    [day] = days(datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC))
    first, second = (day.offset(day.midnight + timedelta(microseconds=at), number) for at, number in (one, other))
    assert (one < other) == (first < second)
    assert first < day.offset(day.end) < 2**63


def test_a_day_is_numbered_for_people() -> None:
    """24 November 2026 is 20261124, also where it is the 25th in Kolkata already."""
    kolkata = timezone(timedelta(hours=5, minutes=30))
    [day] = days(datetime(2026, 11, 25, 0, tzinfo=kolkata), datetime(2026, 11, 25, 1, tzinfo=kolkata))
    assert (20261124, date(2026, 11, 24)) == (day.number, day.date)
