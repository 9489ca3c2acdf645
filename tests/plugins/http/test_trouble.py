"""The source `http` and a real server that misbehaves."""

from __future__ import annotations

import gzip
import itertools
import logging
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from kit.polled import count, first, gap, read, source
from kit.ports import free_port
from kit.vendor import Asked, Reply, Vendor
from stockifyd.api import Drift, Message, Unavailable
from stockifyd.testing import MemoryClaims

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
    good = Path("stockifyd/calendars/nse.yaml").read_text()
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
