"""What the source `http` asks, when, and what becomes of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kit.polled import PATIENCE_SECS, count, first, opened, read, source
from kit.vendor import Asked, Reply, Vendor
from stockifyd.api import Message, Partition
from stockifyd.testing import MemoryClaims, make, make_context
from stockifyd_http import Http


async def test_conditional_requests(vendor: Vendor) -> None:
    """What the server gave along comes back to it; nothing new is no message, and no gap."""
    modified = "Tue, 24 Nov 2026 03:45:00 GMT"

    def behave(asked: Asked) -> Reply:
        if asked.number in (1, 2):
            return Reply(b"", 304)
        return Reply(b'{"n":%d}' % asked.number, headers={"ETag": f'"{asked.number}"', "Last-Modified": modified})

    vendor.behave = behave
    messages, claims = await read(source(vendor), count(3))
    assert ([b'{"n":0}', b'{"n":3}', b'{"n":4}'], []) == ([m.raw for m in messages], claims.gaps)
    told = [(asked.headers.get("If-None-Match"), asked.headers.get("If-Modified-Since")) for asked in vendor.asked[:5]]
    assert [(None, None), *[('"0"', modified)] * 3, ('"3"', modified)] == told


async def test_no_gap_lasts_longer_than_nothing_new(vendor: Vendor) -> None:
    """A poll that brings nothing new ends a gap: it was answered."""
    vendor.behave = first(Reply(b"{}"), Reply(b"", 503), *[Reply(b"", 304)] * 5)
    messages, claims = await read(source(vendor, tries=1), count(2))
    assert ["answered 503"] == [lost.reason for lost in claims.gaps]
    assert claims.gaps[0].span.next < messages[1].position.offset


async def test_polls_that_overlap(vendor: Vendor) -> None:
    """A poll that lasts beyond the next one is no failure; the next one is."""
    vendor.behave = first(Reply(b"[1]"), Reply(b"[2]", delay_secs=0.5))
    messages, claims = await read(source(vendor, interval_secs=0.2), lambda m, c: len(m) >= 3 and bool(c.gaps))
    assert b"[2]" in [message.raw for message in messages]
    assert "the poll before was not over" in claims.gaps[0].reason


async def test_messages_wait_for_their_gap(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is skipped as long as what was before is not durable; after three seconds the message comes all the same."""
    vendor.behave = first(Reply(b"[1]"), Reply(b"", 503))
    claims, messages, found = MemoryClaims(), list[Message](), source(vendor, tries=1)
    async with asyncio.timeout(PATIENCE_SECS), opened(found), aclosing(found.read(claims)) as parts:  # type: ignore[type-var]
        async for part in parts:
            messages += part
            if len(messages) > 1:
                break
    assert ([], 1) == (claims.gaps, caplog.text.count("A: a gap is not recorded, since what was read before it waits"))


async def test_what_is_due_while_paused_is_a_gap(vendor: Vendor) -> None:
    """Nothing is asked, and the reason says why."""
    found, claims = source(vendor), MemoryClaims()
    async with asyncio.timeout(PATIENCE_SECS), opened(found), aclosing(found.read(claims)) as parts:  # type: ignore[type-var]
        while not (part := list(await anext(parts))):
            pass
        await found.commit({part[-1].position.partition: part[-1].position.offset + 1})
        found.pause()
        asked = len(vendor.asked) + 1  # one may be under way
        until = time.monotonic() + 1
        while time.monotonic() < until:
            assert [] == list(await anext(parts))
        assert len(vendor.asked) <= asked
        found.resume()
        while not claims.gaps:
            for message in await anext(parts):
                await found.commit({message.position.partition: message.position.offset + 1})
    assert "not asked while paused" in claims.gaps[0].reason


async def test_where_a_ledger_remembers_more(vendor: Vendor) -> None:
    """The time from what is stored to the start is a gap, if a poll was due; a clock that was set back moves nothing back."""
    [message], _ = await read(source(vendor), count(1))
    stored = {message.position.partition: message.position.offset - 10_000_000}
    _, claims = await read(source(vendor), count(1), MemoryClaims(stored))
    assert ("stockifyd was not running", message.position.offset - 10_000_000) == (
        claims.gaps[0].reason,
        claims.gaps[0].span.base,
    )
    ahead = message.position.offset + 3_600_000_000
    messages, claims = await read(source(vendor), count(2), MemoryClaims({message.position.partition: ahead}))
    assert ([ahead, ahead + 1], []) == ([m.position.offset for m in messages], claims.gaps)


async def test_outside_of_the_window_nothing_is_asked_and_nothing_missed(vendor: Vendor) -> None:
    """The market is closed: silence is right."""
    tuesday = datetime(2026, 11, 24, tzinfo=UTC)
    closed = {"open": "00:00", "close": "00:01", "timezone": "UTC", "weekdays": ["monday"]}
    quick = {"interval_secs": 0.1, "symbols": {"A": {}}, "url": f"{vendor.url}/{{symbol}}", "window": closed}
    found = make(Http, make_context(now=lambda: tuesday + timedelta(seconds=time.monotonic() % 86_400)), **quick)
    yields = itertools.count()
    messages, claims = await read(found, lambda *_: next(yields) > 10)
    assert ([], [], []) == (messages, claims.gaps, vendor.asked)


async def test_polls_are_aligned_to_the_clock(vendor: Vendor) -> None:
    """Between two multiples of the interval nothing is asked; at one each symbol is, once."""
    clock, yields = [datetime(2026, 11, 24, 12, 0, 0, 999_999, tzinfo=UTC)], itertools.count()
    options = {"interval_secs": 1, "symbols": {"A": {}, "B": {}}, "url": f"{vendor.url}/{{symbol}}"}

    def enough(messages: list[Message], _: MemoryClaims) -> bool:
        number = next(yields)
        if number == 10:
            assert [] == vendor.asked
            clock[0] += timedelta(microseconds=1)
        return number > 20 and len(messages) == 2

    await read(make(Http, make_context(now=lambda: clock[0]), **options), enough)
    assert ["/A", "/B"] == sorted(asked.path for asked in vendor.asked)


@pytest.mark.parametrize(("second", "asked"), [(14, True), (16, False)])
async def test_a_start_makes_the_poll_that_was_due(vendor: Vendor, second: int, asked: bool) -> None:
    """In the first half of an interval its poll is made at once, for whoever was to make it may have been killed."""
    started, yields = datetime(2026, 11, 24, 12, 0, second, tzinfo=UTC), itertools.count()
    options = {"interval_secs": 30, "symbols": {"A": {}, "B": {}}, "url": f"{vendor.url}/{{symbol}}"}

    def enough(messages: list[Message], _: MemoryClaims) -> bool:
        return len(messages) == 2 if asked else next(yields) > 3

    await read(make(Http, make_context(now=lambda: started), **options), enough)
    assert (["/A", "/B"] if asked else []) == sorted(one.path for one in vendor.asked)


async def test_a_start_at_the_turn_of_an_interval(vendor: Vendor) -> None:
    """What was asked at once is not asked again for the same instant, nor missed, though claiming lasted beyond it."""
    clock = [datetime(2026, 11, 24, 12, 0, 29, tzinfo=UTC)]

    class Slow(MemoryClaims):
        async def take(self, *given: Any, **more: Any) -> Mapping[Partition, int]:
            clock[0] += timedelta(seconds=2)
            return await super().take(*given, **more)

    options = {"interval_secs": 30, "symbols": {"A": {}}, "url": f"{vendor.url}/{{symbol}}"}
    found, claims, messages = make(Http, make_context(now=lambda: clock[0]), **options), Slow(), list[Message]()
    async with asyncio.timeout(PATIENCE_SECS), opened(found), aclosing(found.read(claims)) as parts:  # type: ignore[type-var]
        turns = 0
        while turns < 3 or not messages:
            messages += await anext(parts)
            turns += 1
    assert (1, 1, []) == (len(messages), len(vendor.asked), claims.gaps)


async def test_what_is_sent_and_what_becomes_of_it(vendor: Vendor) -> None:
    """Query, body, headers and envelope are filled for each expiry that the listing names."""

    def behave(asked: Asked) -> Reply:
        if asked.path == "/list":
            assert asked.query["id"] == "13"
            return Reply(b'{"data": ["2020-01-01", "2099-11-24", "2099-12-01", "2099-12-31"]}')
        return Reply(b'{"oc": {}}')

    vendor.behave = behave
    found = source(
        vendor,
        url=f"{vendor.url}/chain/{{symbol}}",
        symbols={"M&M/X": {"scrip": 13}},
        method="POST",
        parameters={"key": "NSE|{symbol} 50", "n": "{scrip}"},
        body={"Scrip": "{scrip}", "Expiry": "{expiry:%d-%b-%Y}"},
        headers={"X-One": "1"},
        secret_headers={"access-token": "s"},
        secret_parameters={"apikey": "k"},
        envelope={"vendor": "dhan", "symbol": "{symbol}", "expiry": "{expiry}", "id": "{scrip}"},
        expiries={"nearest": 2, "listing": {"url": f"{vendor.url}/list", "parameters": {"id": "{scrip}"}, "path": "data"}},
        interval_secs=0.5,
    )
    messages, claims = await read(found, count(2))
    message, asked = messages[0], next(asked for asked in vendor.asked if asked.path != "/list")
    assert ("POST", "/chain/M&M/X") == (asked.method, asked.path)
    assert {"key": "NSE|M&M/X 50", "n": "13", "apikey": "k"} == asked.query
    assert {"Scrip": 13, "Expiry": "24-Nov-2099"} == json.loads(asked.body)
    sent = {name: asked.headers[name] for name in ("X-One", "access-token", "Content-Type", "User-Agent")}
    assert {"X-One": "1", "access-token": "s", "Content-Type": "application/json", "User-Agent": "stockifyd"} == sent
    envelope = json.loads(message.raw)
    at = datetime.fromisoformat(envelope.pop("received_at"))
    assert message.position.offset == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert {"vendor": "dhan", "symbol": "M&M/X", "expiry": "2099-11-24", "id": 13, "payload": {"oc": {}}} == envelope
    assert {b"M&M/X:2099-11-24", b"M&M/X:2099-12-01"} == {m.key for m in messages[:2]}
    assert {"M&M/X:2099-11-24", "M&M/X:2099-12-01"} == {partition.topic for partition in claims.owned}


async def test_expiries_that_are_not_known(
    vendor: Vendor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The symbol is not polled, which is said; it is once they are known, and new ones take the place of those that are over."""
    monkeypatch.setattr("stockifyd_http.listings.AGAIN_SECS", 0.2)
    answers = iter([Reply(b"<html>"), Reply(b"{}"), Reply(b'{"d": ["2099-11-24"]}'), Reply(b"", 503)])
    later = Reply(b'{"d": ["2099-12-01"]}')
    vendor.behave = lambda asked: next(answers, later) if asked.path == "/list" else Reply(b"[]")
    listing = {"url": f"{vendor.url}/list", "path": "d", "refresh_secs": 0.3}
    found = source(vendor, url=f"{vendor.url}/{{expiry}}", expiries={"listing": listing}, tries=1)
    messages, claims = await read(found, lambda m, _: bool(m) and m[-1].key == b"A:2099-12-01")
    assert "no expiries of A, it is not polled until they are known: answered 200" in caplog.text
    assert "no expiries of A, those known stay: answered 503" in caplog.text
    assert (b"A:2099-11-24", ["A:2099-11-24"]) == (messages[0].key, [p.topic for part in claims.released for p in part])


async def test_instances_share_the_symbols(vendor: Vendor) -> None:
    """Of two instances each polls its own, and both together all."""
    names = [f"S{n}" for n in range(12)]
    seen = []
    for instance in (1, 2):
        options = {"url": f"{vendor.url}/{{symbol}}", "symbols": {name: {} for name in names}, "interval_secs": 0.2}
        found = make(Http, make_context(instance_id=instance, total_instances=2), **options)
        _, claims = await read(found, count(1))
        seen.append({partition.topic for partition in claims.owned})
    assert (set(names), set()) == (seen[0] | seen[1], seen[0] & seen[1])
    assert all(seen)
