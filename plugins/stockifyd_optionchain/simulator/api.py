"""The simulated day as a vendor's HTTP API: Upstox's option chains and contracts."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date

import msgspec
from aiohttp import web

from stockifyd_optionchain.simulator.board import Board, Listed
from stockifyd_optionchain.simulator.forms import FORMS

Told = Callable[[str], None]


class UpstoxApi:
    """`GET /v2/option/chain` and `GET /v2/option/contract`. The day begins with the first instant, at the start of the API.

    The same seed and day give the same bytes at the same instant. Of an expiry only the contracts in its middle are listed.
    """

    def __init__(self, board: Board, clock: Callable[[], float] = time.monotonic) -> None:
        self._board, self._clock = board, clock
        self._began = clock()
        self._encode = msgspec.json.Encoder().encode
        self._shown: dict[tuple[str, date], tuple[int, bytes]] = {}
        self.app = web.Application()
        self.app.add_routes(
            [web.get("/v2/option/chain", self._chain), web.get("/v2/option/contract", self._contracts)],
        )

    async def _chain(self, request: web.Request) -> web.Response:
        listed = self._listed(request)
        if listed is None:
            return _error("UDAPI100011", "Invalid Instrument key")
        try:
            expiry = date.fromisoformat(request.query.get("expiry_date", ""))
        except ValueError:
            return _error("UDAPI1088", "Invalid date")
        if expiry not in listed.series:
            return _json(b'{"status":"success","data":[]}')
        return _json(self.answer(listed, expiry))

    async def _contracts(self, request: web.Request) -> web.Response:
        listed = self._listed(request)
        if listed is None:
            return _error("UDAPI100011", "Invalid Instrument key")
        underlying = listed.underlying
        data = [
            {
                "name": underlying.symbol,
                "segment": f"{underlying.exchange}_FO",
                "exchange": underlying.exchange,
                "expiry": expiry,
                "instrument_type": contract.option_type,
                "strike_price": contract.strike,
                "lot_size": underlying.lot_size,
                "underlying_key": underlying.vendor_key,
                "underlying_symbol": underlying.symbol,
                "underlying_type": "INDEX",
            }
            for expiry, series in listed.series.items()
            for contract in series.contracts[len(series.contracts) // 2]
        ]
        return _json(self._encode({"status": "success", "data": data}))

    def _listed(self, request: web.Request) -> Listed | None:
        return self._board.listed.get(request.query.get("instrument_key", ""))

    def answer(self, listed: Listed, expiry: date) -> bytes:
        """The chain now, of an expiry that is listed; made once for each instant."""
        key, number = (listed.underlying.symbol, expiry), self._board.number_after(self._clock() - self._began)
        made = self._shown.get(key)
        if made is None or made[0] != number:
            chain = self._board.chain(listed, expiry, number)
            made = self._shown[key] = number, self._encode(FORMS["upstox"](chain, listed.underlying))
        return made[1]


async def serve(board: Board, host: str, port: int, told: Told) -> None:
    """Serve until SIGINT or SIGTERM; OSError where the address is not free."""
    runner = web.AppRunner(UpstoxApi(board).app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        told(f"http://{host}:{runner.addresses[0][1]}")
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # no signals there
                loop.add_signal_handler(number, over.set)
        await over.wait()
    finally:
        await runner.cleanup()


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def _error(code: str, message: str) -> web.Response:
    return _json(msgspec.json.encode({"status": "error", "errors": [{"errorCode": code, "message": message}]}), 400)
