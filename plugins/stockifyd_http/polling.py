"""The polls under way, and what came of them: everything of the source that talks to the vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from stockifyd.api import Context, Partition
from stockifyd_http.answers import Answer, Trouble
from stockifyd_http.breaker import Breaker
from stockifyd_http.endpoint import Ask, Endpoint, name_of, session_of
from stockifyd_http.limits import Limits
from stockifyd_http.listings import Listings
from stockifyd_http.losses import Losses
from stockifyd_http.options import HttpOptions
from stockifyd_http.series import NOTHING, Series, series_of


class Arrived(NamedTuple):
    """An answer, and when it came."""

    series: Series
    body: bytes
    at: datetime


class Polling:
    """One pool of connections, and one task for each request that is under way. OSError where no TLS can be had."""

    def __init__(self, options: HttpOptions, context: Context, symbols: Sequence[str]) -> None:
        self._options, self._context, self._symbols = options, context, symbols
        self._session = session_of(options)
        self._limits = Limits(options.limits, options.connections_max, context.total_instances)
        self._endpoint = self._endpoint_at(options.url)
        self._listings = Listings(options, context.log)
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived: list[Arrived] = []
        self._broken: BaseException | None = None
        self._day: date | None = None
        self.losses = Losses(context.log)
        self.stirred = asyncio.Event()

    def begin(self) -> None:
        """Ask for the expiries of every symbol, if they are listed, from now on."""
        self._day = None
        if listing := self._options.listing:
            endpoint = self._endpoint_at(listing.url)
            for symbol in self._symbols:
                self._spawn(self._listings.keep(symbol, listing, endpoint))

    async def end(self) -> None:
        """Nothing is under way any more when this returns."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._arrived.clear()
        self._broken = None

    async def close(self) -> None:
        """End, and close all connections."""
        await self.end()
        await self._session.close()

    def wanted(self, today: date) -> Mapping[Partition, Series] | None:
        """What is polled today, of each series a new one; None where that is what it was when this was asked last."""
        if today == self._day and not self._listings.changed.is_set():
            return None
        self._day = today
        self._listings.changed.clear()
        days = ((symbol, day) for symbol in self._symbols for day in self._listings.wanted(symbol, today))
        found = (series_of(self._options, symbol, day) for symbol, day in days)
        return {series.partition: series for series in found}

    def ask(self, series: Series, due: int, secs: float) -> None:
        """Poll a series; what was due at an instant must be there within so many seconds."""
        series.is_asked, series.asked_for = True, due
        self._spawn(self._poll(series, due, asyncio.get_running_loop().time() + secs))

    def missed(self, series: Series, due: int, reason: str) -> None:
        """A poll that was due brought nothing."""
        series.missed(due, reason)
        self.losses.missed(series.key, reason)

    def take(self) -> Sequence[Arrived]:
        """What came since; raises what nobody foresaw."""
        if self._broken is not None:
            raise self._broken
        found, self._arrived = self._arrived, []
        return found

    async def _poll(self, series: Series, due: int, until: float) -> None:
        try:
            answer = await self._endpoint.fetch(Ask(series.symbol, series.request, until, series.known))
        except Trouble as trouble:
            self.missed(series, due, trouble.reason)
        else:
            self._has_come(series, answer)
        finally:
            series.is_asked = False

    def _has_come(self, series: Series, answer: Answer) -> None:
        if answer.body is None:
            series.unchanged()
        else:
            series.known = NOTHING._replace(etag=answer.etag, modified=answer.modified)
            self._arrived.append(Arrived(series, answer.body, self._context.now()))
        self.losses.found(series.key)

    def _endpoint_at(self, url: str) -> Endpoint:
        options, context = self._options, self._context
        breaker = Breaker(name_of(url), context.log, failures=options.breaker_failures, pause_secs=options.breaker_secs)
        return Endpoint(self._session, self._limits, breaker, options, context.now)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"{self._context.name}-request")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._broken = error
        self.stirred.set()
