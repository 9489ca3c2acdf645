"""The source `http` and a real server that misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import logging
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from kit.ports import free_port
from kit.vendor import Asked, Reply, Vendor
from stockifyd.api import Drift, Message, Unavailable
from stockifyd.testing import MemoryClaims, make, make_context
from stockifyd_http import Http

PATIENCE_SECS = 60
Enough = Callable[[list[Message], MemoryClaims], bool]


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as server:
        yield server


@pytest.fixture(autouse=True)
def all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def source(vendor: Vendor, **options: Any) -> Http:
    """Symbol A, ten times a second, quick to try again."""
    quick = {
        "interval_secs": 0.1,
        "retry_first_ms": 1,
        "breaker_secs": 0.3,
        "symbols": {"A": {}},
        "url": f"{vendor.url}/{{symbol}}",
    }
    return make(Http, **(quick | options))


@asynccontextmanager
async def opened(found: Http) -> AsyncIterator[Http]:
    await found.open()
    try:
        yield found
    finally:
        await found.close()


async def read(found: Http, enough: Enough, claims: MemoryClaims | None = None) -> tuple[list[Message], MemoryClaims]:
    """Read, and commit what was read, until it is enough."""
    claims, messages = claims or MemoryClaims(), list[Message]()
    async with asyncio.timeout(PATIENCE_SECS), opened(found):
        reading = found.read(claims)
        async with aclosing(reading) as parts:  # type: ignore[type-var]
            async for part in parts:
                messages += part
                await found.commit({message.position.partition: message.position.offset + 1 for message in part})
                if enough(messages, claims):
                    break
    return messages, claims


def count(least: int) -> Enough:
    return lambda messages, _: len(messages) >= least


def gap(messages: list[Message], claims: MemoryClaims) -> bool:
    """A gap, and a message after it."""
    return bool(claims.gaps) and bool(messages) and messages[-1].position.offset >= claims.gaps[-1].span.next


def first(*replies: Reply) -> Callable[[Asked], Reply]:
    """These, one after another, then what is right."""
    numbers = itertools.count()

    def behave(_: Asked) -> Reply:
        number = next(numbers)
        return replies[number] if number < len(replies) else Reply(b'{"n":%d}' % number)

    return behave


BAD = {
    "answered 503": Reply(b"away", 503),
    "answered 500": Reply(b"{}", 500),
    "answered 429": Reply(b"{}", 429),
    "answered 408": Reply(b"{}", 408),
    "the answer broke off, or cannot be unpacked": Reply(b'{"a": "' + b"x" * 100_000 + b'"}', cut=True),
    "answered 200 with text/html, of which the body is no JSON": Reply(
        b"<html><body>busy</body></html>", content_type="text/html"
    ),
    "answered 200 with application/json, of which the body is no JSON": Reply(b"<html>"),
    "of which the body is no JSON: text that is not utf-8": Reply(b'{"a": "\xff"}'),
    "of which the body is no JSON: neither an object": Reply(b'"maintenance"'),
    "of which the body is no JSON: input data was truncated": Reply(b'{"data": [1, 2'),
    "no whole answer within 0.4 s": Reply(delay_secs=2),
    "no whole answer within 0.4 s ": Reply(b"[" + b"1," * 500 + b"1]", slow_secs=1),
    "cannot be unpacked": Reply(b"no gzip at all", headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("reason", BAD)
async def test_what_passes_is_asked_again(vendor: Vendor, reason: str) -> None:
    """The second try of the same poll brings the message, and nothing is missing."""
    vendor.behave = first(BAD[reason])
    messages, claims = await read(source(vendor, timeout_secs=0.4, interval_secs=2, tries=2), count(1))
    assert ([], b'{"n":1}') == (claims.gaps, messages[0].raw)


@pytest.mark.parametrize("reason", BAD)
async def test_what_does_not_pass_is_a_gap_with_its_reason(vendor: Vendor, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """The gap reaches from the message before to the message after; the log says it, and when it is over."""
    vendor.behave = first(Reply(b'{"n":0}'), *[BAD[reason]] * 2)
    messages, claims = await read(source(vendor, timeout_secs=0.4, interval_secs=0.5, tries=1), gap)
    found = claims.gaps[0]
    assert (messages[0].position.offset + 1, messages[1].position.offset) == found.span
    assert reason.strip() in found.reason.replace("UTF", "utf")
    assert "1 poll brought nothing, first: A: " in caplog.text


LASTING = {
    "answered 401": Reply(b"{}", 401),
    "answered 403": Reply(b"{}", 403),
    "answered 404": Reply(b"{}", 404),
    "answered 400": Reply(b"{}", 400),
    "answered 302, to another place": Reply(b"{}", 302, {"Location": "/elsewhere"}),
    "the answer has more than 1000 bytes": Reply(b"[" + b"1," * 1000 + b"1]"),
    "the answer has more than 1000 bytes ": Reply(
        gzip.compress(b"[" + b" " * 10_000_000 + b"]"), headers={"Content-Encoding": "gzip"}
    ),
}


@pytest.mark.parametrize("reason", LASTING)
async def test_what_another_try_does_not_mend(vendor: Vendor, reason: str) -> None:
    """One request, one gap: it is not sent again, nor anywhere else."""
    vendor.behave = first(LASTING[reason])
    found = source(vendor, response_max_bytes=1000, interval_secs=0.5, tries=5, secret_headers={"Authorization": "s"})
    _, claims = await read(found, gap)
    assert [reason.strip()] == [lost.reason for lost in claims.gaps]
    assert {"/A"} == {asked.path for asked in vendor.asked}


async def test_a_wrong_content_type_is_no_trouble(vendor: Vendor) -> None:
    """What the body holds counts, not what it is called."""
    vendor.behave = lambda _: Reply(b' [1, "\xe2\x82\xb9"]\n', content_type="image/png")
    messages, _ = await read(source(vendor), count(1))
    assert b' [1, "\xe2\x82\xb9"]\n' == messages[0].raw


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_honoured(vendor: Vendor, form: str) -> None:
    """Nothing of the endpoint is asked, not by another symbol either, before the time that the server names."""
    asked_for = 1 if form == "seconds" else 2  # a date has whole seconds: of two at least one is left

    def behave(asked: Asked) -> Reply:
        if len(vendor.asked) > 1:
            return Reply()
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=asked_for), usegmt=True)
        return Reply(b"{}", 429, {"Retry-After": "1" if form == "seconds" else until})

    vendor.behave = behave
    messages, claims = await read(source(vendor, symbols={"A": {}, "B": {}}, interval_secs=5, connections_max=1), count(2))
    assert ([], {b"A", b"B"}) == (claims.gaps, {message.key for message in messages})
    first_at, *later = [asked.at for asked in vendor.asked]
    assert min(later) - first_at >= 0.99


async def test_a_pause_that_is_too_long_is_a_gap(vendor: Vendor) -> None:
    """It is kept all the same: polls of that time are missed, and the server is left alone."""
    vendor.behave = first(Reply(b"{}", 503, {"Retry-After": "1"}))
    _, claims = await read(source(vendor, interval_secs=0.2), gap)
    assert "polls brought nothing, the first: answered 503" in claims.gaps[0].reason
    assert vendor.asked[1].at - vendor.asked[0].at >= 0.99


async def test_breaker(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """A vendor that is away gets one request in a while, and is back with the first that is answered."""
    vendor.behave = first(*[Reply(b"", 503)] * 4)
    _, claims = await read(source(vendor, breaker_failures=3, breaker_secs=1, tries=1, interval_secs=0.1), gap)
    assert "polls brought nothing, the first: answered 503" in claims.gaps[0].reason
    times = [asked.at for asked in vendor.asked]
    assert all(later - before >= 0.99 for before, later in itertools.pairwise(times[2:5]))
    assert "/{symbol} is away after 3 failures in a row, and tried again every 1 s: answered 503" in caplog.text
    assert "/{symbol} is back after" in caplog.text


async def test_a_refused_token_is_an_operators_business(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """It is an ERROR with what to do; no line of the log holds the token."""
    vendor.behave = first(*[Reply(b'{"token": "no-such-token"}', 401)] * 2)
    await read(source(vendor, breaker_failures=2, secret_headers={"Authorization": "Bearer no-such-token"}), count(1))
    [error] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "answered 401\n  HINT: are the credentials right" in error
    assert "no-such-token" not in caplog.text


async def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """Reading goes on without it, and it is polled as soon as it is there."""
    vendor = Vendor(port=free_port())
    started = False

    def enough(messages: list[Message], claims: MemoryClaims) -> bool:
        nonlocal started
        if not started and "is away after 5 failures" in caplog.text:
            vendor.start()
            started = True
        return bool(messages)

    try:
        _, claims = await read(source(vendor, tries=1), enough)
        assert "polls brought nothing, the first: cannot be reached: Connection refused" in claims.gaps[0].reason
    finally:
        vendor.stop()


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


async def test_a_broken_plugin_is_a_bug_and_no_silence(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw in a request comes out of `read`."""
    monkeypatch.setattr("stockifyd_http.endpoint.answer_of", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await read(source(vendor), count(1))


def certificate(folder: Path, name: str) -> Path:
    """A certificate of its own authority, and its key, in one file."""
    made = folder / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext"]
    command += [f"subjectAltName=IP:{name}", "-keyout", str(folder / "key"), "-out", str(folder / "crt")]
    subprocess.run(command, check=True, capture_output=True)
    made.write_text((folder / "key").read_text() + (folder / "crt").read_text())
    return made


@pytest.mark.parametrize(
    ("name", "trusted", "reason"),
    [("127.0.0.1", False, "self-signed certificate"), ("127.0.0.2", True, "ip address mismatch"), ("127.0.0.1", True, "")],
)
async def test_tls(tmp_path: Path, name: str, trusted: bool, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate of nobody, or of another, is refused before a secret is sent; one that is trusted is taken."""
    made = certificate(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made)
    with Vendor(lambda _: Reply(b"[]"), tls=context) as vendor:
        options: dict[str, Any] = {"tls_ca_file": str(tmp_path / "crt")} if trusted else {}
        found = source(vendor, secret_headers={"Authorization": "s"}, breaker_failures=2, **options)
        await read(found, lambda messages, _: bool(messages) or "is away after" in caplog.text)
        assert bool(reason) == (not vendor.asked)
        assert not reason or ("its certificate is not trusted: " in caplog.text and reason in caplog.text)


async def test_files_that_cannot_be_read(vendor: Vendor, tmp_path: Path) -> None:
    """Certificates and a calendar that went wrong after the spec was checked halt, with the cure."""
    (tmp_path / "ca.pem").write_text("nothing")
    for content in ("ca.pem", "missing.pem"):
        with pytest.raises(Drift, match="tls_ca_file: "):
            await source(vendor, tls_ca_file=str(tmp_path / content)).open()
    good = Path("calendars/nse.yaml").read_text()
    (calendar := tmp_path / "c.yaml").write_text(good)
    found = source(vendor, calendar=str(calendar))
    calendar.write_text(good.replace("Asia/Kolkata", "Nowhere"))
    with pytest.raises(Drift, match=r"calendar: .*'Nowhere'"):
        await found.open()


async def test_what_claiming_raises_comes_out(vendor: Vendor) -> None:
    """The runtime's own trouble is the runtime's to judge."""

    class Away(MemoryClaims):
        async def take(self, *_: Any) -> Any:
            raise Unavailable("no ledger")

    with pytest.raises(Unavailable, match="no ledger"):
        await read(source(vendor), count(1), Away())
