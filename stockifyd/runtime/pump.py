"""Pulls messages out of the source and deals them, when they are due, for as long as there are any; pauses the source."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from stockifyd.api import Message, Partition, Retry, Source, StockifydError, Unavailable
from stockifyd.runtime.attempts import bug
from stockifyd.runtime.dealer import Dealer
from stockifyd.runtime.pacing import Pace
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.tasks import GaveUpError, cancelled
from stockifyd.runtime.timing import Backoff

SOURCE = "the source"
FULL = "full"
BATCHES_WAITING = 2  # raw, in each lane, before the source is held up
PACE_SECS = 0.05  # the longest that something which is due waits for a place or for an operator
LONGEST_SECS = 1.0  # and how often is looked whether the speed has changed


class Pump:
    """Goes on pulling while paused, since that keeps a member of a group alive."""

    def __init__(self, source: Source[Any], dealer: Dealer, shared: Shared, failed: Callable[[StockifydError], None]) -> None:
        self._source = source
        self._dealer = dealer
        self._breaker = shared.breaker
        self._timing = shared.timing
        self._shared = shared
        self._failed = failed
        self._pauses: set[str] = set()
        self._again = asyncio.Event()
        self._is_running = self._is_stopping = False
        self._fruitless = 0
        self._pace, self._paced = Pace(), asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._log: logging.Logger = source.context.log

    @property
    def _limit_bytes(self) -> int:
        return BATCHES_WAITING * self._shared.options.batch_max_bytes * self._shared.options.lanes

    def pause(self, why: str) -> None:
        """Keep the source paused until `resume` with the same reason."""
        if not self._pauses and self._is_running:
            self._source.pause()
        self._pauses.add(why)

    def resume(self, why: str) -> None:
        """Take a reason back; without any the source reads again."""
        if why in self._pauses:
            self._pauses.discard(why)
            if not self._pauses and self._is_running:
                self._source.resume()

    def rewind(self) -> None:
        """Deal nothing more of this reading; read anew from what is claimed then."""
        self._again.set()

    def stop(self) -> None:
        """Return from `run` at the next chance."""
        self._is_stopping = True
        self._again.set()
        self._forget_held()

    async def run(self) -> None:
        """Returns when the source has ended and all of it is durable, or after `stop`."""
        self._is_running = True
        if self._pauses:
            self._source.pause()
        backoff, bugs = Backoff.of(self._timing), 0
        while not self._is_stopping:
            self._again.clear()
            try:
                if await self._read_through(backoff) and await self._is_drained():
                    return
                bugs = 0
            except (Unavailable, Retry) as error:
                self._count_fruitless(error)
                await asyncio.sleep(backoff.next())
            except StockifydError as error:
                await self._wait_for_rewind(error)
            except Exception as error:  # noqa: BLE001 - a stranger's source may raise anything: three tries, then halt
                bugs += 1
                self._log.exception("%s failed, try %d of %d", SOURCE, bugs, self._timing.bug_tries)
                if bugs >= self._timing.bug_tries:
                    await self._wait_for_rewind(bug(SOURCE, error))
                await asyncio.sleep(backoff.next())

    def _count_fruitless(self, error: StockifydError) -> None:
        """A source rides out what passes; one that gives up again and again wants a new process."""
        self._fruitless += 1
        if self._fruitless > self._timing.retries:
            raise GaveUpError(f"{SOURCE} gave up {self._fruitless} times and brought nothing: {error.reason}") from error
        self._breaker.broken(SOURCE, error)

    async def _wait_for_rewind(self, error: StockifydError) -> None:
        """What the source cannot mend: the pipeline decides, and rewinds when it may go on."""
        if not self._again.is_set():
            self._failed(error)
            await self._again.wait()

    async def _is_drained(self) -> bool:
        """True when all that was read is durable; False when it must be read again."""
        drained, again = asyncio.ensure_future(self._dealt_and_drained()), asyncio.ensure_future(self._again.wait())
        await asyncio.wait({drained, again}, return_when=asyncio.FIRST_COMPLETED)
        await cancelled(drained)
        await cancelled(again)
        return not self._again.is_set()

    async def _dealt_and_drained(self) -> None:
        while self._pace:
            self._paced.clear()
            await self._paced.wait()
        await self._dealer.drained()

    async def _read_through(self, backoff: Backoff) -> bool:
        """One reading, from claim to end; True where the source has ended."""
        self._forget_held()
        reading = self._source.read(self._dealer)
        async with aclosing(reading) as pulled:  # type: ignore[type-var]
            async for messages in pulled:
                self._breaker.mended(SOURCE)
                backoff.tries = 0
                if self._again.is_set():
                    return False
                if messages:
                    self._fruitless = 0
                self._deal(messages, self._source.positions())
                await self._keep_within_limit()
        return not self._again.is_set()

    def _deal(self, messages: Sequence[Message], positions: Mapping[Partition, int]) -> None:
        """At once, or, where the options name a speed, when it is due."""
        if self._shared.options.speed or self._pace:
            self._pace.hold(messages, positions)
            self._deal_due()
        else:
            self._dealer.deal(messages, positions)

    def _deal_due(self) -> None:
        """Deal what is due, but nothing while a sink is away, and call again for what is not."""
        if self._timer is not None:
            self._timer.cancel()
        if self._again.is_set():
            return
        loop, speed, wait = asyncio.get_running_loop(), self._shared.options.speed, PACE_SECS
        if not self._pauses - {FULL} and self._dealer.bytes < self._limit_bytes:
            if any(due := self._pace.due(loop.time(), speed)):
                self._dealer.deal(*due)
            wait = min(self._pace.wait(loop.time(), speed), LONGEST_SECS)
        if self._pace:
            self._timer = loop.call_later(wait, self._deal_due)
        else:
            self._paced.set()

    def _forget_held(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._pace.clear()

    @property
    def _waiting_bytes(self) -> int:
        return self._dealer.bytes + self._pace.bytes

    async def _keep_within_limit(self) -> None:
        """Where too much waits, wait a moment; where that is not enough, pause the source and go on pulling."""
        if self._waiting_bytes < self._limit_bytes:
            self.resume(FULL)
            return
        try:
            async with asyncio.timeout(self._timing.room_secs):
                while self._waiting_bytes >= self._limit_bytes and not self._again.is_set():
                    await self._dealer.room()
        except TimeoutError:
            self.pause(FULL)
