"""One day's rows out of the database, page by page: a cursor in a task of its own, opened again where it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from logging import Logger
from typing import Any

from stockifyd.api import Message, Retry, StockifydError, Unavailable
from stockifyd_postgres.cutting import Cutter
from stockifyd_postgres.places import Places
from stockifyd_postgres.positions import Day
from stockifyd_postgres.question import CURSOR, Question

TURN_SECS = 0.5
HOLD_SECS = 5.0
"""How long a cursor stays open that nobody reads: a replica's queries hold its replay up, and a pooler's servers are few."""
LONGEST_PAUSE_SECS = 5.0
Page = Sequence[Any]
"""Rows: their time, the row as JSON, the values of `message_by`."""


@dataclass
class Scroll:
    """A cursor over a day's rows from some time on, while it works: a page is fetched while the one before is used."""

    places: Places
    question: Question
    day: Day
    page_rows: int
    _pages: asyncio.Queue[Page | Exception | None] = field(default_factory=lambda: asyncio.Queue(1))
    _task: asyncio.Task[None] | None = None

    async def page(self, start: int) -> Page | None:
        """The next page, empty where none has come within a turn; None behind the last. Begins at the time of offset `start`."""
        if self._task is None:
            self._task = asyncio.create_task(self._fetch(start), name="scroll")
        try:
            async with asyncio.timeout(TURN_SECS):
                found = await self._pages.get()
        except TimeoutError:
            return ()
        if isinstance(found, Exception):
            raise found
        return found

    async def stop(self) -> None:
        """Close the cursor; the next page comes from a new one."""
        task, self._task = self._task, None
        self._pages = asyncio.Queue(1)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _fetch(self, start: int) -> None:
        try:
            await self._scroll(max(self.day.start, self.day.at(start)))
        except Exception as error:  # noqa: BLE001 - whoever asks for the next page hears of it
            await self._pages.put(error)
        else:
            await self._pages.put(None)

    async def _scroll(self, begin: datetime) -> None:
        async with self.places.session.transaction() as transaction:
            await self.places.check(transaction)  # each time: a server that was restarted may know less than before
            declare = f"DECLARE {CURSOR} NO SCROLL CURSOR FOR {self.question.sql}"
            await transaction.execute(declare, *self.question.arguments(self.day, begin))
            while rows := await transaction.fetch(f"FETCH FORWARD {self.page_rows} FROM {CURSOR}"):
                await self._pages.put(rows)


class DayReading:
    """The messages of one day from an offset on, through whatever passes: `next` is the first one not handed out."""

    def __init__(self, places: Places, cutter: Cutter, start: int, *, log: Logger) -> None:
        self.next, self.is_paused = start, False
        self.before: Message | None = None
        """The message just before the first one that is handed out, where it was read on the way."""
        self._places, self._cutter, self._log = places, cutter, log
        self._scroll = self._new_scroll()
        self._failures = 0

    async def messages(self) -> AsyncGenerator[list[Message], None]:
        """Messages as they come, an empty list in between; returns behind the last. Drift for an operator."""
        try:
            while True:
                if self.is_paused:
                    async for nothing in self._rest():
                        yield nothing
                try:
                    page = await self._scroll.page(self.next)
                except (Unavailable, Retry) as error:
                    yield []
                    await self._broken(error)
                    continue
                if page is None:
                    yield self._fresh(self._cutter.end())
                    return
                self._mended(page)
                yield self._fresh(self._cutter.feed(page))
        finally:
            await self._scroll.stop()

    def _fresh(self, messages: Iterator[Message]) -> list[Message]:
        found = list[Message]()
        for message in messages:
            if message.position.offset >= self.next:
                found.append(message)
                self.next = message.position.offset + 1
            elif not found:
                self.before = message
        return found

    async def _rest(self) -> AsyncIterator[list[Message]]:
        """While paused; a cursor that nobody reads is closed after a while."""
        turns = 0
        while self.is_paused:
            yield []
            await asyncio.sleep(TURN_SECS)
            turns += 1
            if turns * TURN_SECS == HOLD_SECS:
                await self._begin_again()

    async def _broken(self, error: StockifydError) -> None:
        """Wait a little, and begin again where we are, at another server if there is one."""
        if not self._failures:
            self._log.warning("%s; reading on when it can be", error.reason)
        self._failures += 1
        self._places.turn()  # also what a replica's replay cancelled may go well at another
        await self._begin_again()
        await asyncio.sleep(min(0.1 * 2**self._failures, LONGEST_PAUSE_SECS, TURN_SECS))

    def _mended(self, page: Page) -> None:
        if page and self._failures:
            self._log.info("reading on from %s", self._places.session.address)
            self._failures = 0

    async def _begin_again(self) -> None:
        await self._scroll.stop()
        self._cutter = self._cutter.anew()
        self._scroll = self._new_scroll()

    def _new_scroll(self) -> Scroll:
        cutter = self._cutter
        return Scroll(self._places, cutter.question, cutter.day, cutter.options.read_max_rows)
