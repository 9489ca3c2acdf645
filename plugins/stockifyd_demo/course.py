"""The course of the whole platform: chains are polled and pass through, one daemon is killed, and all comes to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import asyncpg

from stockifyd.api import StockifydError
from stockifyd_demo import polled
from stockifyd_demo.daemons import Daemons
from stockifyd_demo.market import whole_minute_at
from stockifyd_demo.screen import Screen

RAW = "market.raw"
AT_WORK = ("analytics", "storage", "processor", "ingestion")
"""Started against the stream, so that whoever sends has somebody to send to."""
KILL_AT = 0.35
"""The share of the time that is polled when the daemon is killed."""
IN_HAND_SECS = 10.0
"""So long is waited for a moment in which it has something in hand."""
DOWN_SECS = 3.0
LOOK_SECS = 0.2
STALL_SECS = 60.0
STORED = "SELECT (SELECT count(*) FROM market_snapshots), (SELECT count(*) FROM option_analytics)"
BEGINNING = 'SELECT min("timestamp") FROM option_contracts'


class Wanted(NamedTuple):
    """How long is polled, at the least, and how often; and who is killed."""

    secs: float
    interval_secs: float
    victim: str


class Course:
    """Runs the daemons until every chain that was polled is in both tables, and exported."""

    def __init__(self, screen: Screen, daemons: Daemons, connection: asyncpg.Connection, brokers: str) -> None:
        self._screen, self._daemons, self._connection, self._brokers = screen, daemons, connection, brokers
        self._stored = (0, 0)
        self._moved = time.monotonic()

    async def run(self, wanted: Wanted, export: Path) -> None:
        """From the first poll to the last row of the export."""
        for name in AT_WORK:
            self._daemons.start(name)
        await self._until(lambda: min(self._stored) > 0)
        began, whole = time.monotonic(), whole_minute_at(time.time(), wanted.interval_secs)
        self._screen.tell("the first chains have come through: polled, made canonical, stored and analysed")
        await self._until(lambda: time.monotonic() - began > KILL_AT * wanted.secs)
        await self._kill(wanted.victim)
        await self._until(lambda: time.monotonic() - began > wanted.secs and time.time() > whole)
        await self._drain()
        await self._export(export)
        self._screen.show(self._daemons, at_once=True)
        self._screen.leave()

    async def _kill(self, name: str) -> None:
        victim = self._daemons[name]
        patience = time.monotonic() + IN_HAND_SECS
        await self._until(lambda: victim.count("lag") > 0 or time.monotonic() > patience, every_secs=0.02)
        lag, child = victim.count("lag"), self._daemons.kill(name)
        self._screen.tell(f"kill -9 {child.pid}: {name} is gone; chains it had not delivered: {lag}; the others go on")
        gone = time.monotonic()
        await self._until(lambda: time.monotonic() - gone > DOWN_SECS)
        child = self._daemons.start(name)
        self._screen.tell(f"{name} is started again, as systemd would: pid {child.pid}")
        again = time.monotonic()
        await self._until(lambda: victim.count("messages_delivered") > 0)
        self._screen.tell(f"{name} delivers again, {time.monotonic() - again:.1f} s after it was started")

    async def _drain(self) -> None:
        await self._daemons.end("ingestion")
        total = await polled.count(self._brokers, RAW)
        self._screen.tell(f"ingestion is asked to end: {total:,} chains are polled; the others deliver what is on the way")
        await self._until(lambda: min(self._stored) >= total)
        for name in ("processor", "storage", "analytics"):
            await self._daemons.end(name)

    async def _export(self, export: Path) -> None:
        start, end = await self._connection.fetchval(BEGINNING), datetime.now(UTC)
        self._screen.tell(f"historical exports {start:%H:%M:%S} to {end:%H:%M:%S} UTC into {export.name}")
        times = {"HISTORICAL_FROM": start.isoformat(), "HISTORICAL_TO": end.isoformat()}
        child = self._daemons.start("historical", HISTORICAL_FOLDER=str(export.parent), **times)
        self._daemons["historical"].may_end = True
        await self._until(lambda: not child.is_running)
        if child.process.poll() != 0:
            await self._daemons.end("historical")  # says how it ended

    async def _until(self, is_so: Callable[[], bool], *, every_secs: float = LOOK_SECS) -> None:
        """Look, and show, until it is so."""
        self._moved = time.monotonic()
        while True:
            await self._look()
            if is_so():
                return
            self._screen.show(self._daemons)
            await asyncio.sleep(every_secs)

    async def _look(self) -> None:
        await self._daemons.look()
        before, self._stored = self._stored, tuple((await self._connection.fetch(STORED))[0])
        if self._stored != before:
            self._moved = time.monotonic()
        elif time.monotonic() - self._moved > STALL_SECS:
            said = "\n".join(f"{one.name} said last:\n{one.child.said()}" for one in self._daemons if one.child)
            raise StockifydError(f"nothing came through for {STALL_SECS:.0f} s, at {self._stored} chains\n{said}")
