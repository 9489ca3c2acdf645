"""The source `http`: polls each symbol of a list, by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from stockifyd.api import Claims, Context, Drift, Message, Partition, Source, Span
from stockifyd_http.hours import Always, hours_of
from stockifyd_http.options import HttpOptions
from stockifyd_http.partitioner import share
from stockifyd_http.schedule import MICROS, Schedule, micros
from stockifyd_http.series import Gap, Series

if TYPE_CHECKING:  # imported when the source works: `stockifyd validate` imports this module
    from stockifyd_http.polling import Polling

REST_SECS = 0.5
GAP_MICROS = 60 * MICROS
"""A gap that lasts is recorded in pieces: of a crash only the last of them goes unrecorded."""
HOLD_MICROS = 3 * MICROS
NOT_RUNNING = "stockifyd was not running"
PAUSED = "not asked while paused: a sink is away or behind, or an operator wished so"


class Http(Source[HttpOptions]):
    """Polls a JSON API: each symbol, and each expiry of it, by the clock. Several instances share the symbols.

    What was polled and not delivered is lost at a crash: nobody can be asked again for what was. A poll that brings nothing is a
    gap, with its reason.
    """

    type = "http"
    replayable = False

    def __init__(self, config: HttpOptions, context: Context) -> None:
        super().__init__(config, context)
        self._polling: Polling | None = None
        self._series: dict[Partition, Series] = {}
        self._schedule = Schedule(config.interval_secs, Always())
        self._paused = False

    async def open(self) -> None:
        """Make a pool of connections; the vendor is asked by the first poll. Drift for a file that cannot be read."""
        from stockifyd_http.polling import Polling  # noqa: PLC0415  see above

        await self._close_polling()
        symbols = share(self.config.symbols, self.context.instance_id, self.context.total_instances)
        try:
            self._schedule = Schedule(self.config.interval_secs, hours_of(self.config, self.context.log))
            self._polling = Polling(self.config, self.context, symbols)
        except ValueError as error:
            raise Drift(f"calendar: {error}", hint="put the file right, then reload") from error
        except OSError as error:
            raise Drift(f"tls_ca_file: {error.strerror or 'no certificates in it'}", hint="mend it, then reload") from error
        told = "✓ Polling %d of %d symbols every %g s" if symbols else "no symbol is this instance's: %d of %d, every %g s"
        self.context.log.info(told, len(symbols), len(self.config.symbols), self.config.interval_secs)

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        """Answers as they come. What the vendor does is ridden out; nothing but what claiming raises comes out of here."""
        assert self._polling is not None, "opened before it reads"
        polling = self._polling
        self._series = {}
        polling.begin()
        tick = self._schedule.last(self._now())
        try:
            while True:
                await self._follow_listings(claims, polling)
                tick = self._ask_what_is_due(polling, tick)
                polling.losses.say()
                yield await self._ready(claims, polling)
                await self._rest(polling, tick)
        finally:
            await polling.end()

    def pause(self) -> None:
        """Ask for nothing: what is due meanwhile is a gap."""
        self._paused = True

    def resume(self) -> None:
        """Ask again."""
        self._paused = False
        if self._polling:
            self._polling.stirred.set()

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Remember how far each series is durable."""
        for partition, offset in offsets.items():
            if series := self._series.get(partition):
                series.durable = max(series.durable, offset)

    async def close(self) -> None:
        """Close all connections."""
        await self._close_polling()

    async def _close_polling(self) -> None:
        polling, self._polling = self._polling, None
        if polling:
            await polling.close()

    def _now(self) -> int:
        return micros(self.context.now())

    async def _follow_listings(self, claims: Claims, polling: Polling) -> None:
        """Claim what is to be polled now, and release what is over."""
        today = self.context.now().astimezone(self._schedule.hours.zone).date()
        wanted = polling.wanted(today)
        if wanted is None:
            return
        if gone := [partition for partition in self._series if partition not in wanted]:
            for partition in gone:
                del self._series[partition]
            await claims.release(gone)
        if new := {partition: series for partition, series in wanted.items() if partition not in self._series}:
            await self._claim(claims, new)
            self._ask_at_once(polling, list(new.values()))

    async def _claim(self, claims: Claims, new: Mapping[Partition, Series]) -> None:
        """Own new series. Where a ledger remembers how far one was, and a poll was due since, that is a gap."""
        now = self._now()
        taken = await claims.take(dict.fromkeys(new, now))
        for partition, series in new.items():
            series.next = series.durable = taken[partition]
            self._series[partition] = series
            if self._schedule.was_due(series.next, now):
                await self._record(claims, series, now, NOT_RUNNING)

    def _ask_at_once(self, polling: Polling, new: Sequence[Series]) -> None:
        """Ask for what was due before its series was known, if at least half of the interval is left.

        A process that was killed had its polls of this interval in hand: whoever comes after it makes them again.
        """
        now = self._now()
        tick = self._schedule.last(now)
        left = tick + self._schedule.interval - now
        is_open = self._schedule.is_open(tick) and self._schedule.is_open(now)
        if not self._paused and is_open and 2 * left >= self._schedule.interval:
            for series in new:
                polling.ask(series, tick, left / MICROS)

    def _ask_what_is_due(self, polling: Polling, before: int) -> int:
        """Begin the polls of the latest multiple of the interval, if they are not begun yet; answers with it."""
        tick = self._schedule.last(self._now())
        if tick == before:
            return tick
        if tick - before > self._schedule.interval and self._schedule.was_due(before + 1, tick):
            self._miss_all(polling, before, f"nothing ran for {(tick - before) / MICROS:.1f} s")
        if self._schedule.is_open(tick):
            if self._paused:
                self._miss_all(polling, tick, PAUSED)
            else:
                self._ask_all(polling, tick)
        return tick

    def _ask_all(self, polling: Polling, tick: int) -> None:
        for series in self._series.values():
            if series.asked_for == tick:
                continue  # it was asked at once, when its series became known
            if series.is_asked:
                polling.missed(series, tick, "the poll before was not over")
            else:
                polling.ask(series, tick, (tick + self._schedule.interval - self._now()) / MICROS)

    def _miss_all(self, polling: Polling, tick: int, reason: str) -> None:
        for series in self._series.values():
            polling.missed(series, tick, reason)

    async def _ready(self, claims: Claims, polling: Polling) -> list[Message]:
        """What came. Where something is missing before it, that is recorded first."""
        if self._paused:
            return []
        for series, body, at in polling.take():
            if self._series.get(series.partition) is series:
                series.hold(body, at)
        ready = list[Message]()
        for series in self._series.values():
            if series.gap:
                await self._close_gap(claims, series, series.gap)
            if not series.gap:
                ready += series.release()
        return ready

    async def _close_gap(self, claims: Claims, series: Series, gap: Gap) -> None:
        """Record a gap that is over, or that has lasted: not before everything of its series is durable that was read before it.

        A message that came after it is held until then, but not for long.
        """
        now = self._now()
        end = series.held[0].position.offset if series.held else now
        if not (series.held or gap.is_over or now - gap.since >= GAP_MICROS):
            return
        if series.is_settled:
            series.gap = None
            await self._record(claims, series, end, str(gap))
        elif now - end > HOLD_MICROS:
            series.gap = None
            self.context.log.warning("%s: a gap is not recorded, since what was read before it waits: %s", series.key, gap)

    async def _record(self, claims: Claims, series: Series, end: int, reason: str) -> None:
        if end > series.next:
            await claims.skip(series.partition, Span(series.next, end), reason)
            series.next = series.durable = end

    async def _rest(self, polling: Polling, tick: int) -> None:
        """Until the next multiple of the interval, or until something comes."""
        left = (tick + self._schedule.interval - self._now()) / MICROS
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(left, 0.0), REST_SECS)):
                await polling.stirred.wait()
        polling.stirred.clear()
