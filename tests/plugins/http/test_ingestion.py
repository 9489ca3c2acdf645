"""The ingestion pipeline that ships, from the simulated day as a vendor's API to canonical chains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestServer

from kit.market import INSTRUMENTS
from stockifyd.api import Batch, Message
from stockifyd.registry import Registry
from stockifyd.spec import loads
from stockifyd.testing import MemoryClaims, flow, make, make_context
from stockifyd_http import Http
from stockifyd_optionchain import NormaliseChain
from stockifyd_optionchain.simulator import Simulator
from stockifyd_optionchain.simulator.api import UpstoxApi
from stockifyd_optionchain.simulator.board import Board

SPEC = Path(__file__).resolve().parents[3] / "pipelines" / "ingestion.yaml"
MONDAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


def test_it_validates_without_a_finding() -> None:
    """No error and no warning, without a variable that is set."""
    loaded = loads(SPEC.read_bytes(), Registry.load(built_in=True), file=str(SPEC), environ={})
    assert (True, []) == (loaded.ok, [str(finding) for finding in loaded.findings])


@pytest.fixture
async def vendor() -> AsyncIterator[str]:
    server = TestServer(UpstoxApi(Board(Simulator(7, MONDAY, strikes=6))).app)
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


async def test_every_series_becomes_a_chain(vendor: str) -> None:
    """Of each symbol the three nearest expiries are polled, and `normalise_chain` takes every answer."""
    messages = await polled(vendor, 15)
    assert 15 == len({message.key for message in messages})
    assert {b"NIFTY:2026-11-24", b"SENSEX:2026-11-26", b"MIDCPNIFTY:2026-12-29"} < {message.key for message in messages}
    [batch] = await flow(Batch(tuple(messages)), make(NormaliseChain, instruments=INSTRUMENTS))
    assert [] == list(batch.rejected)
    for message in batch.messages:
        chain = message.value
        assert f"{chain.symbol}:{chain.options[0].expiry}".encode() == message.key
        assert (12, NOON) == (len(chain.options), chain.timestamp)


async def polled(vendor: str, count: int) -> list[Message]:
    """As the pipeline's source polls them at noon of a Monday, but for the clock, which stands still after one step."""
    text = SPEC.read_text().replace("${UPSTOX_URL:-https://api.upstox.com}", vendor).replace("${POLL_INTERVAL_SECS:-15}", "15")
    options: dict[str, Any] = yaml.safe_load(text.replace("${CALENDAR_FILE:-nse}", "nse"))["source"]
    del options["type"], options["limits"]
    clock = [NOON.replace(minute=29, second=59)]
    source, claims, messages = make(Http, make_context(now=lambda: clock[0]), **options), MemoryClaims(), list[Message]()
    await source.open()
    try:
        async with asyncio.timeout(60), aclosing(source.read(claims)) as parts:  # type: ignore[type-var]
            while len(messages) < count:
                messages += await anext(parts)
                if len(claims.owned) == count:
                    clock[0] = NOON
    finally:
        await source.close()
    return messages
