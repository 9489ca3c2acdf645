"""A running pipeline: starts its lanes and its source, and decides what a trouble means."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import NamedTuple

from stockifyd.api import Batch, Drift, Fenced, Partition, Retry, StockifydError, Unavailable
from stockifyd.runtime.blueprint import Blueprint
from stockifyd.runtime.breaker import Breaker
from stockifyd.runtime.journal import Journal
from stockifyd.runtime.lane import Lane
from stockifyd.runtime.lanes import Lanes
from stockifyd.runtime.life import Life, Wish
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.state import State
from stockifyd.runtime.taps import SINKS
from stockifyd.runtime.tasks import bounded, cancelled
from stockifyd.runtime.timing import Timing
from stockifyd.spec.model import Instance

OPERATOR = "operator"

FOUGHT_OVER = "is another process running as this group, or with this INSTANCE_ID, or is the database rewound again and again?"


class Trouble(NamedTuple):
    """What cannot be cured where it happened; `generation` of the lanes it was of, if it was of lanes."""

    error: BaseException
    generation: int | None = None


class Pipeline:
    """`run` returns when the source has ended or `stop` was called; troubles on the way are its business."""

    def __init__(self, blueprint: Blueprint, *, timing: Timing | None = None, accept_new_ledger: bool = False) -> None:
        self.name = blueprint.name
        self.log = logging.getLogger(f"stockifyd.{blueprint.name}")
        self.source = blueprint.source()
        self.instance: Instance = blueprint.instance
        self._timing = timing or Timing()
        self._breaker = Breaker(self.log, self._breaker_changed, silence_secs=self._timing.silence_secs)
        self._life = Life(self.name, self._breaker, self.log)
        self._shared = Shared(blueprint.delivery, self._timing, self.log, self._breaker, self._delivered)
        self.counters, self.taps = self._shared.counters, self._shared.taps
        self._journal = Journal(self.log, self._timing.journal_secs)
        self._lanes = Lanes(blueprint, self.source, self._shared, self._failed, accept_new_ledger=accept_new_ledger)
        self._troubles: asyncio.Queue[Trouble | Wish | None] = asyncio.Queue()
        self._fences: deque[float] = deque(maxlen=self._timing.fences_a_minute)

    @property
    def state(self) -> State:
        """The state an operator sees."""
        return self._life.state

    @property
    def is_well(self) -> bool:
        """Whether it reads and writes, or would if an operator let it."""
        return self._life.is_well

    @property
    def was_stopped(self) -> bool:
        """Whether `stop` was called: if it ended, then perhaps before its source had."""
        return self._life.is_stopping

    @property
    def trouble(self) -> StockifydError | None:
        """Why it is halted, if it is."""
        return self._life.trouble

    @property
    def reason(self) -> str:
        """Why it is not simply running; empty if it is."""
        return self.trouble.reason if self.trouble else self._breaker.reason

    def lag(self) -> dict[Partition, int]:
        """Messages not yet delivered of each partition: what the source has not read, and what waits."""
        waiting = self._lanes.waiting
        return {p: n + waiting.get(p, 0) for p, n in self.source.lag().items()}

    @property
    def owned(self) -> list[Partition]:
        """The partitions that are claimed."""
        return self._lanes.owned

    @property
    def checkpoint(self) -> dict[Partition, int]:
        """The next offset of each partition, as far as it is durable."""
        return dict(self._lanes.checkpoints.durable)

    def stop(self) -> None:
        """Stop reading, let what is in flight finish, and return from `run`."""
        self._life.stop()
        self._troubles.put_nowait(None)

    def pause(self) -> None:
        """Read nothing until `resume`; what is in flight is written, membership is kept."""
        self._life.is_paused = True
        self._lanes.pump.pause(OPERATOR)

    def resume(self) -> None:
        """Leave `paused`; leave `halted`: an operator has mended what it was."""
        self._life.is_paused = False
        self._lanes.pump.resume(OPERATOR)
        self._life.resume()

    async def reload(self, blueprint: Blueprint) -> None:
        """Go on with other transforms, sinks and delivery behind the same source; between two batches, where it runs well.

        Raises a StockifydError where the new cannot work: then nothing has changed. A pipeline that waits for what is away,
        or is halted, takes what is away as well: it cannot become worse.
        """
        wish, assembly = Wish(blueprint), self._lanes.assembly
        try:
            if self._life.is_well and assembly.has_lanes(blueprint.delivery.lanes):
                wish.change = assembly.change_to(blueprint)
                await assembly.open_beside(wish.change)
            else:
                await assembly.try_out(blueprint)
        except (Unavailable, Retry):
            if self._life.is_well:
                raise
        self._life.wish_for(wish)
        self._troubles.put_nowait(wish)
        await wish.granted

    async def try_out(self, blueprint: Blueprint) -> None:
        """Open a blueprint's sinks and transforms, and close them again; raises a StockifydError where one cannot be opened."""
        await self._lanes.assembly.try_out(blueprint)

    async def run(self) -> None:
        """Work until the source ends or `stop`; raises what nobody foresaw."""
        self.log.info("%s instance %d/%d starting", self.name.capitalize(), self.instance.id, self.instance.total)
        pumping = committing = None
        try:
            if await self._started():
                pumping = asyncio.create_task(self._pump_through(), name="reading")
                committing = asyncio.create_task(self._lanes.checkpoints.run(), name="committing")
                self._life.stage = State.RUNNING
                await self._supervise()
        except BaseException:
            self._life.stage = State.FAILED
            raise
        finally:
            await self._end(pumping, committing)

    async def _started(self) -> bool:
        """Open everything; with other components, if they are wished for meanwhile. False: stopped before that."""
        while not self._life.is_stopping:
            if await self._life.unless_disturbed(self._open_everything()):
                return True
            await self._lanes.stop()
            await self._lanes.assembly.close_lanes()
            await self._use_what_is_wished()
        return False

    async def _open_everything(self) -> None:
        """Sinks first, so that what is missing there halts before the first fetch."""
        self._lanes.begin(await self._opened_lanes())
        while True:
            try:
                await self._lanes.assembly.open(self.source, "source")
            except Drift as error:
                await self._halt(error)
            else:
                return

    async def _opened_lanes(self) -> list[Lane]:
        """Lanes of new components; halts, as often as needed, where a sink is not what the spec says."""
        while True:
            try:
                return await self._lanes.assembly.lanes()
            except Drift as error:
                await self._halt(error)

    async def _halt(self, error: StockifydError) -> None:
        """Until an operator has looked."""
        await self._life.halt(error)
        if self._shared.rejects:
            self._shared.rejects.forget()

    async def _supervise(self) -> None:
        """Take troubles and wishes as they come, one at a time."""
        while not self._life.is_stopping:
            told = await self._troubles.get()
            if self._life.is_stopping:
                return
            match told:
                case None:
                    self._life.stage = State.FINISHED
                    return
                case Wish():
                    await self._granted(told)
                case Trouble(error, generation):
                    if generation in (None, self._lanes.generation):  # else of lanes that were stopped since
                        await self._met(error)

    async def _met(self, error: BaseException) -> None:
        match error:
            case Fenced():
                await self._fenced(error)
            case StockifydError():
                await self._renew(error)
            case _:
                raise error

    async def _fenced(self, error: Fenced) -> None:
        """Forget what is in flight and claim again; too often in a minute is a quarry for an operator."""
        now = time.monotonic()
        if len(self._fences) == self._fences.maxlen and now - self._fences[0] < 60:  # noqa: PLR2004
            self._fences.clear()
            await self._renew(
                Drift(
                    f"fenced again and again: {error.reason}",
                    hint=error.hint or FOUGHT_OVER,
                )
            )
            return
        self._fences.append(now)
        self.log.warning("%s; claiming again", error.reason)
        await self._lanes.rewind()

    async def _granted(self, wish: Wish) -> None:
        """Put other components in: beside the running ones where that can be, else in their place."""
        if wish.granted.done():
            return
        if wish.change is None or not self._life.is_well:
            await self._renew(None)
            return
        self._life.take_wish()
        try:
            await self._lanes.refit(wish.change)
        except StockifydError as error:
            await self._lanes.assembly.close(wish.change.new)
            wish.refuse(error)
        else:
            wish.grant()

    async def _renew(self, error: StockifydError | None) -> None:
        """New lanes, when an operator has looked at the error if there is one. A wish that comes meanwhile is granted first."""
        await self._lanes.halt()
        self._life.stage = State.STARTING
        while not self._life.is_stopping:
            if await self._use_what_is_wished():
                error = None
            if await self._life.unless_disturbed(self._renewed(error)):
                return

    async def _renewed(self, error: StockifydError | None) -> None:
        if error is not None:
            await self._halt(error)
        await self._lanes.assembly.close_lanes()
        self._lanes.begin_anew(await self._opened_lanes())
        self._life.stage = State.RUNNING

    async def _use_what_is_wished(self) -> bool:
        """Make lanes by another blueprint from now on, if somebody wishes it."""
        if (wish := self._life.take_wish()) is None:
            return False
        self._life.begin_again()
        if wish.change:
            await self._lanes.assembly.close(wish.change.new)
        self._lanes.use(wish.blueprint)
        wish.grant()
        return True

    async def _end(self, pumping: asyncio.Task[None] | None, committing: asyncio.Task[None] | None) -> None:
        """Finish or abandon what is in flight, commit, close; every step bounded."""
        limit = self._timing.close_secs
        if not self._life.has_ended:
            self._life.stage = State.DRAINING
            await self._lanes.finish()
        await self._lanes.stop()
        self._journal.say()
        if committing:
            await cancelled(committing)
        await bounded(self._lanes.checkpoints.commit(), limit, self.log, "the last commit")
        self._lanes.pump.stop()
        if pumping:  # what it may still bring nobody wants, and until the source is closed nobody else has our partitions
            await bounded(cancelled(pumping), limit, self.log, "the last read")
        await bounded(self.source.close(), limit, self.log, "closing the source")
        await self._lanes.assembly.close_lanes()
        self._life.end()
        self.log.info("%s stopped", self.name.capitalize())

    def _failed(self, error: BaseException, generation: int | None = None) -> None:
        self._troubles.put_nowait(Trouble(error, generation))

    async def _pump_through(self) -> None:
        try:
            await self._lanes.pump.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor raises it
            self._failed(error)
        else:
            self._troubles.put_nowait(None)

    def _delivered(self, batch: Batch, secs: float) -> None:
        self.counters.delivered += len(batch.messages)
        self.counters.rejected += len(batch.rejected)
        self._lanes.checkpoints.reached(batch)
        self._journal.delivered(batch, secs)
        if self.taps.is_open:
            self.taps.passed(SINKS, batch)

    def _breaker_changed(self) -> None:
        if self._breaker.is_open:
            self._lanes.pump.pause("breaker")
        else:
            self._lanes.pump.resume("breaker")
