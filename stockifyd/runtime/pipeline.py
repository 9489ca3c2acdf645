"""A running pipeline: starts its lanes and its source, and decides what a trouble means."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from enum import StrEnum

from stockifyd.api import Batch, Drift, Fenced, Partition, StockifydError
from stockifyd.runtime.assembly import Assembly
from stockifyd.runtime.blueprint import Blueprint
from stockifyd.runtime.breaker import Breaker, hint_of
from stockifyd.runtime.checkpoints import Checkpoints
from stockifyd.runtime.crew import Crew
from stockifyd.runtime.dealer import Dealer
from stockifyd.runtime.journal import Journal
from stockifyd.runtime.lane import Lane
from stockifyd.runtime.pump import Pump
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.tasks import bounded, cancelled
from stockifyd.runtime.timing import Timing
from stockifyd.spec.model import Instance


class State(StrEnum):
    """Where a pipeline is in its life; see docs/operating.md."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    HALTED = "halted"
    DRAINING = "draining"
    FINISHED = "finished"
    FAILED = "failed"


class Pipeline:
    """`run` returns when the source has ended or `stop` was called; troubles on the way are its business."""

    def __init__(self, blueprint: Blueprint, *, timing: Timing | None = None, accept_new_ledger: bool = False) -> None:
        self.name = blueprint.name
        self.log = logging.getLogger(f"stockifyd.{blueprint.name}")
        self.trouble: StockifydError | None = None
        self.source = blueprint.source()
        self._blueprint = blueprint
        self._state = State.STARTING
        self._timing = timing or Timing()
        self._breaker = Breaker(self.log, self._breaker_changed, silence_secs=self._timing.silence_secs)
        shared = Shared(blueprint.delivery, self._timing, self.log, self._breaker, self._delivered)
        self.counters, self._rejects = shared.counters, shared.rejects
        self._journal = Journal(self.log, self._timing.journal_secs)
        self._checkpoints = Checkpoints(self.source, self._timing, self.log)
        self._assembly = Assembly(blueprint, shared, accept_new_ledger=accept_new_ledger)
        self._dealer = Dealer(self._checkpoints, shared, self._failed)
        self._pump = Pump(self.source, self._dealer, shared, self._failed)
        self._crew = Crew(self.name, self._failed)
        self._troubles: asyncio.Queue[BaseException | None] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._resumed = asyncio.Event()
        self._fences: deque[float] = deque(maxlen=self._timing.fences_a_minute)

    @property
    def state(self) -> State:
        """The state an operator sees: `running` is `waiting` while a breaker is open."""
        if self._state in (State.RUNNING, State.STARTING) and self._breaker.is_open:
            return State.WAITING
        return self._state

    @property
    def reason(self) -> str:
        """Why it is not simply running; empty if it is."""
        if self.trouble:
            return self.trouble.reason
        return self._breaker.reason

    @property
    def instance(self) -> Instance:
        """Which of how many."""
        return self._blueprint.instance

    def lag(self) -> dict[Partition, int]:
        """Messages not yet delivered of each partition: what the source has not read, and what waits."""
        read = {p: n for lane in self._dealer.lanes for p, n in lane.read_to.items()}
        durable = self._checkpoints.durable
        return {p: n + max(0, read.get(p, 0) - durable.get(p, read.get(p, 0))) for p, n in self.source.lag().items()}

    @property
    def owned(self) -> list[Partition]:
        """The partitions that are claimed."""
        return sorted(p for lane in self._dealer.lanes for p in lane.owned)

    @property
    def checkpoint(self) -> dict[Partition, int]:
        """The next offset of each partition, as far as it is durable."""
        return dict(self._checkpoints.durable)

    def stop(self) -> None:
        """Stop reading, let what is in flight finish, and return from `run`."""
        self._stopping.set()
        self._troubles.put_nowait(None)

    def resume(self) -> None:
        """Leave `halted`: an operator has mended what it was."""
        self._resumed.set()

    async def run(self) -> None:
        """Work until the source ends or `stop`; raises what nobody foresaw."""
        total = self._blueprint.instance.total
        self.log.info("%s instance %d/%d starting", self.name.capitalize(), self._blueprint.instance.id, total)
        pumping = committing = None
        try:
            if not await self._start():
                return
            pumping = asyncio.create_task(self._pump_through(), name="reading")
            committing = asyncio.create_task(self._checkpoints.run(), name="committing")
            self._state = State.RUNNING
            await self._supervise()
        except BaseException:
            self._state = State.FAILED
            raise
        finally:
            await self._end(pumping, committing)

    async def _start(self) -> bool:
        """Sinks first, so that what is missing there halts before the first fetch. False: stopped meanwhile."""
        start = asyncio.create_task(self._open_everything())
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        await cancelled(stop)
        if not start.done():
            await cancelled(start)
            return False
        start.result()
        return True

    async def _open_everything(self) -> None:
        self._dealer.deal_to(await self._opened_lanes())
        self._crew.start(self._dealer.lanes)
        while True:
            try:
                await self._assembly.open(self.source, "source")
            except Drift as error:
                await self._halt(error)
            else:
                return

    async def _opened_lanes(self) -> list[Lane]:
        """Lanes of new components; halts, as often as needed, where a sink is not what the spec says."""
        while True:
            try:
                return await self._assembly.lanes()
            except Drift as error:
                await self._halt(error)

    async def _supervise(self) -> None:
        """Take troubles as they come, one at a time."""
        while not self._stopping.is_set():
            trouble = await self._troubles.get()
            if self._stopping.is_set():
                return
            match trouble:
                case None:
                    self._state = State.FINISHED
                    return
                case Fenced():
                    await self._fenced(trouble)
                case StockifydError():
                    await self._halted(trouble)
                case _:
                    raise trouble

    async def _fenced(self, error: Fenced) -> None:
        """Forget what is in flight and claim again; too often in a minute is a quarry for an operator."""
        now = time.monotonic()
        if len(self._fences) == self._fences.maxlen and now - self._fences[0] < 60:  # noqa: PLR2004
            self._fences.clear()
            await self._halted(
                Drift(
                    f"fenced again and again: {error.reason}",
                    hint=error.hint or "is another process running as this group, or is the database rewound again and again?",
                )
            )
            return
        self._fences.append(now)
        self.log.warning("%s; claiming again", error.reason)
        await self._rewind()

    async def _rewind(self) -> None:
        self.counters.rewinds += 1
        await self._crew.stop()
        self._breaker.forget()  # whoever waited for what is away was just stopped: nobody else would say that it is back
        self._pump.rewind()
        self._dealer.reset()
        self._crew.start(self._dealer.lanes)

    async def _halted(self, error: StockifydError) -> None:
        """Wait for an operator; the source is paused but kept alive. Then begin anew, with new components."""
        await self._crew.stop()
        self._pump.pause("halted")
        self._dealer.halt()
        waiting = asyncio.create_task(self._until_lanes_open(error))
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({waiting, stop}, return_when=asyncio.FIRST_COMPLETED)
        await cancelled(stop)
        if self._stopping.is_set():
            await cancelled(waiting)
            return
        self._dealer.deal_to(waiting.result())
        self._pump.rewind()
        self._crew.start(self._dealer.lanes)
        self._pump.resume("halted")
        self._state = State.RUNNING

    async def _until_lanes_open(self, error: StockifydError) -> list[Lane]:
        await self._halt(error)
        await self._assembly.close_lanes()
        return await self._opened_lanes()

    async def _halt(self, error: StockifydError) -> None:
        """Say why, and wait for `resume`."""
        before, self._state, self.trouble = self._state, State.HALTED, error
        self._breaker.forget()
        self._resumed.clear()
        self.log.error("halted: %s%s\n  Nothing is lost. Once it is mended, SIGHUP resumes.", error.reason, hint_of(error))
        await self._resumed.wait()
        self.log.warning("resumed by the operator")
        self._state, self.trouble = before, None
        if self._rejects:
            self._rejects.forget()

    async def _end(self, pumping: asyncio.Task[None] | None, committing: asyncio.Task[None] | None) -> None:
        """Finish or abandon what is in flight, commit, close; every step bounded."""
        ended, limit = self._state, self._timing.close_secs
        if ended not in (State.FINISHED, State.FAILED):
            self._state = State.DRAINING
            await self._finish_in_flight()
        await self._crew.stop()
        self._journal.say()
        if committing:
            await cancelled(committing)
        await bounded(self._checkpoints.commit(), limit, self.log, "the last commit")
        self._pump.stop()
        if pumping:  # what it may still bring nobody wants, and until the source is closed nobody else has our partitions
            await bounded(cancelled(pumping), limit, self.log, "the last read")
        await bounded(self.source.close(), limit, self.log, "closing the source")
        await self._assembly.close_lanes()
        self._state = ended if ended is State.FAILED else State.FINISHED
        self.log.info("%s stopped", self.name.capitalize())

    async def _finish_in_flight(self) -> None:
        """Give what is in flight its time; where a sink is away, abandon it: it is read again."""
        self._pump.pause("draining")
        self._dealer.end()
        drained = asyncio.create_task(self._dealer.drained())
        until = time.monotonic() + self._blueprint.delivery.drain_secs
        while not drained.done() and time.monotonic() < until and not self._breaker.is_open and self._crew.tasks:
            await asyncio.wait({drained} | self._crew.tasks, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
        await cancelled(drained)

    def _failed(self, error: BaseException) -> None:
        self._troubles.put_nowait(error)

    async def _pump_through(self) -> None:
        try:
            await self._pump.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor raises it
            self._failed(error)
        else:
            self._troubles.put_nowait(None)

    def _delivered(self, batch: Batch, secs: float) -> None:
        self.counters.delivered += len(batch.messages)
        self.counters.rejected += len(batch.rejected)
        self._checkpoints.reached(batch)
        self._journal.delivered(batch, secs)

    def _breaker_changed(self) -> None:
        if self._breaker.is_open:
            self._pump.pause("breaker")
        else:
            self._pump.resume("breaker")
