"""The lanes of one pipeline and what feeds them: set to work, read anew, given other components, ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from stockifyd.api import Partition, Source, StockifydError, Unavailable
from stockifyd.runtime.assembly import Assembly
from stockifyd.runtime.blueprint import Blueprint
from stockifyd.runtime.change import Change
from stockifyd.runtime.checkpoints import Checkpoints
from stockifyd.runtime.crew import Crew
from stockifyd.runtime.dealer import Dealer
from stockifyd.runtime.lane import Lane
from stockifyd.runtime.pump import Pump
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.tasks import cancelled

LOOK_SECS = 0.1
HALTED = "halted"


class Lanes:
    """`failed` is called with what a lane, the source or a claim cannot cure by itself; of a lane with its generation too."""

    def __init__(
        self,
        blueprint: Blueprint,
        source: Source[Any],
        shared: Shared,
        failed: Callable[..., None],
        *,
        accept_new_ledger: bool,
    ) -> None:
        self._shared = shared
        self.checkpoints = Checkpoints(source, shared.timing, shared.log)
        self.assembly = Assembly(blueprint, shared, accept_new_ledger=accept_new_ledger)
        self._dealer = Dealer(self.checkpoints, shared, failed)
        self.pump = Pump(source, self._dealer, shared, failed)
        self.generation = 0
        """Rises whenever lanes are set to work: what those before told of themselves does not count any more."""
        self._crew = Crew(blueprint.name, lambda error: failed(error, self.generation))

    @property
    def owned(self) -> list[Partition]:
        """The partitions that are claimed."""
        return sorted(p for lane in self._dealer.lanes for p in lane.owned)

    @property
    def waiting(self) -> dict[Partition, int]:
        """Messages that were read and are not durable yet, of each partition."""
        durable = self.checkpoints.durable
        read = {p: n for lane in self._dealer.lanes for p, n in lane.read_to.items()}
        return {p: max(0, n - durable.get(p, n)) for p, n in read.items()}

    def begin(self, lanes: list[Lane]) -> None:
        """Set the first lanes to work."""
        self._dealer.deal_to(lanes)
        self._start(lanes)

    async def rewind(self) -> None:
        """Forget what is in flight, claim again, and read from what is claimed then."""
        self._shared.counters.rewinds += 1
        await self._crew.stop()
        self._go_on(read_again=True)

    async def halt(self) -> None:
        """Stop all work; the source is paused and kept alive, and claims nothing."""
        await self._crew.stop()
        self.pump.pause(HALTED)
        self._dealer.halt()

    def begin_anew(self, lanes: list[Lane]) -> None:
        """Set new lanes to work after a halt."""
        self._dealer.deal_to(lanes)
        self.pump.rewind()
        self._start(lanes)
        self.pump.resume(HALTED)

    def use(self, blueprint: Blueprint) -> None:
        """Make lanes by another blueprint from now on; a ledger that takes another one's place goes on at the checkpoint."""
        if self.assembly.has_other_ledgers(blueprint):
            self._dealer.continue_at(self.checkpoints.known)
        self.assembly.use(blueprint)

    async def refit(self, wanted: Change) -> None:
        """Put other components in, between two batches. Raises why a new ledger cannot be claimed: then the old go on."""
        lanes = self._dealer.lanes
        equipment = self.assembly.equipment(wanted, lanes)
        are_settled = await self._held(lanes)
        await self._crew.stop()
        try:
            async with asyncio.timeout(self._shared.timing.open_secs):
                stand = [await new.ledgers.take_over(self._reached(lane)) for lane, new in zip(lanes, equipment, strict=True)]
        except (StockifydError, TimeoutError) as error:
            self._go_on(read_again=not are_settled)
            raise error if isinstance(error, StockifydError) else Unavailable("the ledger did not answer") from error
        for lane, new in zip(lanes, equipment, strict=True):
            lane.refit(new)
        self.assembly.fit(wanted)
        self._go_on(read_again=not (are_settled and all(stand)))
        await self.assembly.close(wanted.gone)

    async def finish(self) -> None:
        """Give what is in flight its time; where a sink is away, abandon it: it is read again."""
        self.pump.pause("draining")
        self._dealer.end()
        await self._until(self._dealer.drained(), self._shared.options.drain_secs)

    async def stop(self) -> None:
        """No lane is at work when this returns."""
        await self._crew.stop()

    def _reached(self, lane: Lane) -> dict[Partition, int]:
        """What a lane owns, and how far it is durable: where another ledger begins."""
        return {p: n for p, n in self.checkpoints.durable.items() if p in lane.owned}

    async def _held(self, lanes: Sequence[Lane]) -> bool:
        """No more batches are made; whether what is in flight came to its end in time."""
        for lane in lanes:
            lane.hold()
        await self._until(_all_settled(lanes), min(self._shared.options.drain_secs, self._shared.timing.hold_secs))
        return all(lane.is_settled for lane in lanes)

    def _go_on(self, *, read_again: bool) -> None:
        """Put the lanes to work again; what waits in them stays, unless it is read again."""
        lanes = self._dealer.lanes
        if read_again:
            self._shared.breaker.forget()  # whoever waited for what is away was stopped: nobody else would say it is back
            self.pump.rewind()
            self._dealer.reset()
        for lane in lanes:
            lane.abandon()
            lane.go_on()
        self._start(lanes)

    def _start(self, lanes: Sequence[Lane]) -> None:
        self.generation += 1
        self._crew.start(lanes)

    async def _until(self, done: Coroutine[Any, Any, None], secs: float) -> None:
        """Wait for something of the lanes, no longer than this, and not while one has failed or a sink is away."""
        task, count = asyncio.create_task(done), len(self._crew.tasks)
        until = time.monotonic() + secs
        while not task.done() and time.monotonic() < until and not self._shared.breaker.is_open:
            if not self._crew.tasks or len(self._crew.tasks) < count:
                break
            await asyncio.wait({task} | self._crew.tasks, timeout=LOOK_SECS, return_when=asyncio.FIRST_COMPLETED)
        await cancelled(task)


async def _all_settled(lanes: Sequence[Lane]) -> None:
    for lane in lanes:
        await lane.settled()
