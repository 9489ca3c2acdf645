"""The simulated day as a vendor's HTTP API."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner

from stockifyd_optionchain import simulate
from stockifyd_optionchain.simulator import Simulator
from stockifyd_optionchain.simulator.api import UpstoxApi
from stockifyd_optionchain.simulator.board import Board
from stockifyd_optionchain.vendors import Envelope

MONDAY = date(2026, 11, 23)
NIFTY = "NSE_INDEX|Nifty 50"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def simulator() -> Simulator:
    return Simulator(7, MONDAY, underlyings=["NIFTY", "SENSEX"], strikes=6, interval_secs=3)


@pytest.fixture
def clock() -> Iterator[Clock]:
    yield Clock()


async def asked(client: TestClient[Any, Any], path: str, **query: str) -> tuple[int, Any]:
    answer = await client.get(f"/v2/option/{path}", params=query)
    return answer.status, await answer.json()


async def test_it_answers_what_the_simulator_emits(clock: Clock) -> None:
    """Of each expiry that the contracts name, at each instant, the payload that `simulate --form upstox` has."""
    board, emitted = Board(simulator()), simulator().raw("upstox")
    each = sum(len(listed.series) for listed in board.listed.values())
    async with TestClient(TestServer(UpstoxApi(board, clock).app)) as client:
        _, contracts = await asked(client, "contract", instrument_key=NIFTY)
        expiries = sorted({contract["expiry"] for contract in contracts["data"]})
        for _ in range(3):
            envelopes = [msgspec.json.decode(next(emitted).value, type=Envelope) for _ in range(each)]
            nifty = {str(one.expiry): bytes(one.payload) for one in envelopes if one.symbol == "NIFTY"}
            assert expiries == sorted(nifty)
            for expiry in expiries:
                found = await client.get("/v2/option/chain", params={"instrument_key": NIFTY, "expiry_date": expiry})
                assert nifty[expiry] == await found.read()
            clock.now += 3


async def test_what_is_not_there(clock: Clock) -> None:
    """An unknown underlying, and a date that is none, are errors of Upstox's form; an expiry not listed is an empty list."""
    async with TestClient(TestServer(UpstoxApi(Board(simulator()), clock).app)) as client:
        for path in ("chain", "contract"):
            status, body = await asked(client, path, instrument_key="NSE_INDEX|Nowhere", expiry_date="2026-11-24")
            assert (400, "error", "UDAPI100011") == (status, body["status"], body["errors"][0]["errorCode"])
        assert 400 == (await asked(client, "chain", instrument_key=NIFTY, expiry_date="tomorrow"))[0]
        assert (200, {"status": "success", "data": []}) == await asked(
            client, "chain", instrument_key=NIFTY, expiry_date="2026-11-23"
        )


async def test_after_the_close_it_stands_still(clock: Clock) -> None:
    """The last instant is shown for ever."""
    async with TestClient(TestServer(UpstoxApi(Board(simulator()), clock).app)) as client:
        shown = []
        for _ in range(2):
            clock.now += 100_000
            shown.append(await asked(client, "chain", instrument_key=NIFTY, expiry_date="2026-11-24"))
    assert shown[0] == shown[1]


def test_the_command_serves_until_it_is_told_to_end() -> None:
    """It says where it is, answers, and ends with 0 at SIGTERM."""
    command = [sys.executable, "-m", "stockifyd", "simulate", "--serve", "127.0.0.1:0", "--strikes", "4", "--day", str(MONDAY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            url = line.rpartition(" ")[2].strip()
            assert line.startswith("Upstox's API of 2026-11-23 at http://127.0.0.1:")
            query = urlencode({"instrument_key": NIFTY, "expiry_date": "2026-11-24"})
            with urllib.request.urlopen(f"{url}/v2/option/chain?{query}", timeout=30) as answer:
                assert 4 == len(json.load(answer)["data"])
            child.send_signal(signal.SIGTERM)
            assert 0 == child.wait(30)
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["--serve", "8080"], "write HOST:PORT"),
        (["--serve", "127.0.0.1:99999"], "write HOST:PORT"),
        (["--serve", "127.0.0.1:0", "--chains", "3"], "--serve goes with"),
        (["--serve", "127.0.0.1:0", "--form", "dhan"], "--serve goes with"),
        (["--serve", "127.0.0.1:0", "--symbols", "NOPE"], "'NOPE' is not simulated"),
    ],
)
def test_what_is_refused(arguments: list[str], fact: str) -> None:
    """A wrong command line ends with 2 and the fact."""
    result = CliRunner().invoke(simulate, arguments)
    assert (2, True) == (result.exit_code, fact in result.output)


async def test_an_address_that_is_taken() -> None:
    """It ends with 1, and says which."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    result = await asyncio.to_thread(CliRunner().invoke, simulate, ["--serve", f"127.0.0.1:{port}", "--strikes", "2"])
    server.close()
    assert (1, True) == (result.exit_code, f"127.0.0.1:{port}: " in result.output)
