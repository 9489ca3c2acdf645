"""The load: two workers catch up, one of them is killed in the middle and started again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import asyncpg

from stockifyd.api import StockifydError
from stockifyd_demo.proof import progress, stored
from stockifyd_demo.stage import Stage
from stockifyd_demo.workers import TOTAL, Workers

VICTIM = 1
KILL_AT = 0.25
"""The share of the messages that is stored when the worker is killed."""
DOWN_SECS = 2.0
POLL_SECS = 0.1
NEWS_SECS = 1.5
STALL_SECS = 30.0


class Load:
    """Runs workers until `messages` are stored, come what may."""

    def __init__(self, stage: Stage, workers: Workers, connection: asyncpg.Connection, *, messages: int) -> None:
        self._stage, self._workers, self._connection, self._total = stage, workers, connection, messages
        self._began = self._moved = self._told = time.monotonic()
        self._stored = 0
        self._statuses = dict[int, dict[str, Any]]()

    async def run(self) -> None:
        """Start, kill, start again, and wait for the end."""
        self._start()
        await self._until(lambda: self._stored >= KILL_AT * self._total)

        victim = self._workers.kill(VICTIM)
        self._tell(f"kill -9 {victim.child.pid}: worker {VICTIM} is gone, in the middle of its work")
        gone = time.monotonic()
        await self._until(lambda: time.monotonic() - gone > DOWN_SECS)

        victim = self._workers.start(VICTIM)
        self._tell(f"worker {VICTIM} is started again, as systemd would: pid {victim.child.pid}")
        again = time.monotonic()
        await self._until(lambda: self._is_done or self._delivered(VICTIM) > 0)
        if not self._is_done:
            self._tell(f"worker {VICTIM} stores again, {time.monotonic() - again:.1f} s after it was started")
        await self._until(lambda: self._is_done)
        await self._news()

    @property
    def _is_done(self) -> bool:
        return self._stored >= self._total

    def _start(self) -> None:
        for number in range(1, TOTAL + 1):
            worker = self._workers.start(number)
            self._stage.line(f"worker {number} of {TOTAL}: pid {worker.child.pid}, status page {worker.page}")
        self._began = self._moved = self._told = time.monotonic()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Look, and tell the news each second, until it is so."""
        while True:
            await self._look()
            if is_so():
                return
            if time.monotonic() - self._told > NEWS_SECS:
                await self._news()
            await asyncio.sleep(POLL_SECS)

    async def _look(self) -> None:
        self._workers.check()
        before, self._stored = self._stored, await stored(self._connection)
        if self._stored != before:
            self._moved = time.monotonic()
        elif time.monotonic() - self._moved > STALL_SECS:
            said = "\n".join(f"worker {w.number} said last:\n{w.child.said()}" for w in self._workers)
            reached = f"{self._stored} of {self._total} messages"
            raise StockifydError(f"nothing was stored for {STALL_SECS:.0f} s, at {reached}\n{said}")

    def _delivered(self, number: int) -> int:
        return int(self._statuses.get(number, {}).get("messages_delivered", 0))

    async def _news(self) -> None:
        self._told = time.monotonic()
        self._statuses, now = await self._workers.statuses(), await progress(self._connection)
        each = "   ".join(self._of_worker(number) for number in range(1, TOTAL + 1))
        self._stage.line(f"{self._clock()}   {now.messages:>5,} of {self._total:,} messages   {now.rows:>9,} rows   {each}")

    def _of_worker(self, number: int) -> str:
        status = self._statuses.get(number)
        return f"worker {number}: {'-' if status is None else status['messages_delivered']:>4}"

    def _tell(self, text: str) -> None:
        self._stage.turn(f"{self._clock()}   {text}")

    def _clock(self) -> str:
        return f"{time.monotonic() - self._began:5.1f} s"
