"""The parts of the source `http` without a server: pauses, the schedule, the breaker, limits, places."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Calendar
from stockifyd_http.answers import Trouble
from stockifyd_http.breaker import Breaker
from stockifyd_http.hours import Always, Sessions
from stockifyd_http.limits import Gate, Limits
from stockifyd_http.listings import days_of
from stockifyd_http.losses import Losses
from stockifyd_http.options import Limit, Listing
from stockifyd_http.retrying import LONGEST_SECS, pause_secs, retry_after_secs
from stockifyd_http.schedule import MICROS, Schedule, instant, micros
from stockifyd_http.template import filled, text_filled
from stockifyd_http.window import Window

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
IST = ZoneInfo("Asia/Kolkata")
MARKET = Window(open="09:15", close="15:30", timezone="Asia/Kolkata")
times = st.integers(946_684_800_000_000, 4_102_444_800_000_000).map(instant)


@given(st.integers(0, 10**9 - 1))
def test_retry_after_in_seconds(secs: int) -> None:
    """Seconds are taken as they stand, up to a day."""
    assert min(float(secs), LONGEST_SECS) == retry_after_secs(f" {secs} ", NOW)


@given(st.integers(0, 86_400))
def test_retry_after_as_a_date(secs: int) -> None:
    """A date of HTTP is as far off as it is from now."""
    assert secs == retry_after_secs(format_datetime(NOW + timedelta(seconds=secs), usegmt=True), NOW)


def test_retry_after_in_the_past_and_in_the_obsolete_forms() -> None:
    """What is over wants no pause; all three forms of RFC 9110 are read."""
    assert 0 == retry_after_secs("Tue, 24 Nov 2026 03:00:00 GMT", NOW)
    assert 60 == retry_after_secs("Tuesday, 24-Nov-26 04:01:00 GMT", NOW)
    assert 60 == retry_after_secs("Tue Nov 24 04:01:00 2026", NOW)


@given(
    st.one_of(st.none(), st.text(), st.sampled_from(["-5", "1.5", "1e3", "soon", "Tue, 99 Nov 2026 03:00:00 GMT", "inf", "٣"]))
)
def test_retry_after_that_is_none(header: str | None) -> None:
    """Whatever stands there, the answer is a pause of a bounded length, or none."""
    assert 0 <= (retry_after_secs(header, NOW) or 0) <= LONGEST_SECS


@given(st.integers(0, 200), st.integers(1, 10_000), st.integers(1, 100_000), st.integers())
def test_full_jitter(attempt: int, first: int, cap: int, seed: int) -> None:
    """Anything from 0 to a bound that doubles, and never beyond the cap."""
    assert 0 <= pause_secs(attempt, first, cap, random.Random(seed)) <= min(cap, first * 2**attempt) / 1000


@given(times, st.sampled_from([0.1, 1, 3, 15, 60, 3600, 7]))
def test_the_schedule_is_aligned(at: datetime, interval: float) -> None:
    """The latest poll that was due lies within one interval, and the one after it is one interval later."""
    schedule = Schedule(interval, MARKET)
    last = schedule.last(micros(at))
    assert 0 <= micros(at) - last < schedule.interval
    assert last + schedule.interval == schedule.last(last + schedule.interval)
    assert last == schedule.last(last)


def test_full_hours_are_those_of_the_market() -> None:
    """An hour in India begins half an hour after one in UTC."""
    assert datetime(2026, 11, 24, 9, 0, tzinfo=IST) == instant(Schedule(3600, MARKET).last(micros(NOW)))


def test_a_window() -> None:
    """From the open, included, to the close, excluded, on days of the week; times are of its zone."""
    days = {23: True, 27: True, 28: False, 29: False}
    assert days == {day: MARKET.holds(datetime(2026, 11, day, 12, 0, tzinfo=IST)) for day in days}
    clock = {(9, 14): False, (9, 15): True, (15, 29): True, (15, 30): False}
    assert clock == {at: MARKET.holds(datetime(2026, 11, 24, *at, tzinfo=IST)) for at in clock}


def test_whether_a_poll_was_due() -> None:
    """Over a weekend none is; over a night until the first one at the open."""
    schedule = Schedule(3, MARKET)
    friday, monday = (micros(datetime(2026, 11, day, *at, tzinfo=IST)) for day, at in ((27, (15, 30)), (30, (9, 15))))
    assert (False, True) == (schedule.was_due(friday, monday), schedule.was_due(friday, monday + 1))
    assert (False, True) == (
        schedule.was_due(monday + 1, monday + 3 * MICROS),
        schedule.was_due(monday + 1, monday + 3 * MICROS + 1),
    )


def test_a_calendar(caplog: pytest.LogCaptureFixture) -> None:
    """A holiday is none of the window's business; a day that the calendar does not know is, and is said once."""
    hours = Sessions(Calendar.load("nse"), MARKET, logging.getLogger("stockifyd.test"))
    noon = {
        date(2026, 11, 23): True,
        date(2026, 11, 22): False,
        date(2026, 1, 26): False,
        date(2027, 6, 1): True,
        date(2027, 6, 5): False,
    }
    assert noon == {day: hours.holds(datetime(day.year, day.month, day.day, 12, tzinfo=IST)) for day in noon}
    assert 2 == len(caplog.records)
    assert Sessions(Calendar.load("nse"), None, logging.getLogger()).holds(datetime(2027, 6, 5, 12, tzinfo=IST))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_breaker(caplog: pytest.LogCaptureFixture) -> None:
    """It opens after failures in a row, lets one request try after its pause, and closes with the first that works."""
    caplog.set_level(logging.INFO)
    clock = Clock()
    breaker = Breaker("https://v/x", logging.getLogger("stockifyd.test"), failures=2, pause_secs=10, clock=clock)
    bad = Trouble("answered 503", passes=True)
    breaker.failed(bad)
    breaker.worked()
    breaker.failed(bad)
    breaker.failed(Trouble("answered 404", is_of_endpoint=False))
    assert "" == breaker.refusal()
    breaker.failed(bad)
    assert "not asked, since the endpoint is away: answered 503" == breaker.refusal()
    clock.now += 10
    assert ["", "not"] == [breaker.refusal(), breaker.refusal()[:3]]
    breaker.failed(bad)
    assert breaker.refusal()
    clock.now += 10
    assert "" == breaker.refusal()
    breaker.gave_up()
    assert "" == breaker.refusal()
    breaker.worked()
    assert ["", ""] == [breaker.refusal(), breaker.refusal()]
    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]
    assert "https://v/x is back after 20.0 s" == caplog.messages[-1]


def test_a_pause_that_the_server_wants() -> None:
    """It holds for all, and is over by itself."""
    clock = Clock()
    breaker = Breaker("v", logging.getLogger("stockifyd.test"), failures=5, pause_secs=10, clock=clock)
    breaker.failed(Trouble("answered 429", passes=True, retry_after=7))
    assert (7, True) == (breaker.pause_left(), bool(breaker.refusal()))
    clock.now += 7
    assert (0, "") == (breaker.pause_left(), breaker.refusal())


async def test_limits_hold_in_every_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for turns, in any span there are no more than allowed: of one symbol, and of all."""
    passed = defaultdict[int, list[float]](list)
    sizes = dict[int, tuple[int, float]]()

    def passes(gate: Gate, at: float) -> None:
        sizes[id(gate)] = gate.requests, gate.per_secs
        passed[id(gate)].append(at)
        counted(gate, at)

    counted = Gate.passes
    monkeypatch.setattr(Gate, "passes", passes)
    limits = Limits((Limit(requests=2, per_secs=0.2, scope="symbol"), Limit(requests=3, per_secs=0.1)), 32, 1)
    loop = asyncio.get_running_loop()

    async def ask(symbol: str) -> None:
        async with limits.turn(symbol, loop.time() + 60):
            pass

    await asyncio.gather(*(ask(symbol) for _ in range(4) for symbol in "ABC"))
    assert [4, 4, 4, 12] == sorted(map(len, passed.values()))
    resolution = 0.002  # of the loop's timers, which may be early by so much
    for gate, times in passed.items():
        count, secs = sizes[gate]
        assert all(later - first > secs - resolution for first, later in zip(times, times[count:], strict=False))


async def test_a_turn_that_would_come_too_late() -> None:
    """It is refused at once, and costs nobody else's turn."""
    limits = Limits((Limit(requests=1, per_secs=50, scope="symbol"),), 1, 1)
    loop = asyncio.get_running_loop()
    async with limits.turn("A", loop.time() + 10):
        pass
    with pytest.raises(TimeoutError):
        async with limits.turn("A", loop.time() + 10):
            raise AssertionError("no turn is left")
    async with limits.turn("B", loop.time() + 10):
        pass


async def test_instances_share_a_limit_of_all() -> None:
    """Each of two keeps half of it: the same number in twice the time."""
    limits = Limits((Limit(requests=1, per_secs=20),), 1, 2)
    loop = asyncio.get_running_loop()
    async with limits.turn("A", loop.time() + 10):
        pass
    with pytest.raises(TimeoutError):
        async with limits.turn("B", loop.time() + 30):
            raise AssertionError("it is somebody else's turn")


def test_places() -> None:
    """A lone place becomes its value, in a longer text a part of it; a day has a form; what is no place stays."""
    values = {"scrip": 13, "symbol": "M&M", "expiry": date(2026, 11, 24), "on": True}
    template = {
        "a": "{scrip}",
        "b": ["{scrip}-{symbol}", 1.5, None],
        "c": "{expiry}",
        "d": "{expiry:%d-%b-%Y}",
        "e": "{on}",
        "f": "{ {} }",
    }
    expected = {"a": 13, "b": ["13-M&M", 1.5, None], "c": "2026-11-24", "d": "24-Nov-2026", "e": True, "f": "{ {} }"}
    assert expected == filled(template, values)
    assert "x/13/TRUE" == text_filled("x/{scrip}/{on}", values, str.upper)


LISTS = {
    "data.expiry": (b'{"data": [{"expiry": "2026-12-01"}, {"expiry": "2026-11-24"}, {"expiry": "2026-12-01"}]}', "%Y-%m-%d"),
    "data": (b'{"data": ["2026-11-24", "2026-12-01"]}', "%Y-%m-%d"),
    "records.expiryDates": (b'{"records": {"expiryDates": ["24-Nov-2026", "01-Dec-2026"]}}', "%d-%b-%Y"),
}


@pytest.mark.parametrize("path", LISTS)
def test_listings(path: str) -> None:
    """Expiries of the three vendors' forms: each once, in order."""
    body, form = LISTS[path]
    assert [date(2026, 11, 24), date(2026, 12, 1)] == days_of(body, Listing(url="https://v", path=path, form=form))


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"data": []}', b'{"data": [{"x": 1}]}', b'{"data": "2026-13-01"}', b'{"data": 5}']
)
def test_listings_of_nothing(body: bytes) -> None:
    """An answer without days, or with something else there, is a trouble and no empty list."""
    with pytest.raises(Trouble, match="`path: data`"):
        days_of(body, Listing(url="https://v", path="data"))


def test_losses_are_summed_up(caplog: pytest.LogCaptureFixture) -> None:
    """One line for many, at most one in ten seconds, and one when all is well."""
    caplog.set_level(logging.INFO)
    clock = Clock()
    losses = Losses(logging.getLogger("stockifyd.test"), clock)
    losses.say()
    for _ in range(2):
        for key in ("A", "B"):
            losses.missed(key, "answered 503")
        losses.say()
        losses.say()
    clock.now += 10
    losses.say()
    losses.found("A")
    losses.say()
    losses.found("B")
    losses.say()
    losses.say()
    expected = ["2 polls brought nothing, first: A: answered 503"] * 2
    assert [*expected, "everything is polled again"] == caplog.messages


def test_an_hour_of_nothing() -> None:
    """Without a window the market never closes, and days are those of UTC."""
    assert (True, UTC) == (Always().holds(NOW), Always().zone)
