"""Deals partitions and messages to the lanes, and is the runtime's side of a source's claims."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence

from stockifyd.api import Drift, Fenced, Message, Partition, Retry, Span, StockifydError, Unavailable
from stockifyd.runtime.checkpoints import Checkpoints
from stockifyd.runtime.lane import Lane
from stockifyd.runtime.runs import runs
from stockifyd.runtime.shared import Shared

CLAIMING = "claiming partitions"


class Dealer:
    """Implements `Claims`. Each partition belongs to one lane, always the same."""

    def __init__(self, checkpoints: Checkpoints, shared: Shared, failed: Callable[[StockifydError], None]) -> None:
        self.lanes: list[Lane] = []
        self._checkpoints = checkpoints
        self._breaker = shared.breaker
        self._counters = shared.counters
        self._failed = failed
        self._is_halted = False
        self._generation = 0
        self._continue_at: dict[Partition, int] = {}

    def continue_at(self, offsets: Mapping[Partition, int]) -> None:
        """A ledger that does not know a partition yet begins there, at its next claim: it takes another one's place."""
        self._continue_at = dict(offsets)

    def deal_to(self, lanes: list[Lane]) -> None:
        """These lanes from now on; nothing is claimed in them yet."""
        self.lanes = lanes
        self._generation += 1
        self._is_halted = False

    def reset(self) -> None:
        """Nothing is claimed any more."""
        self._generation += 1
        self._checkpoints.unclaim()
        for lane in self.lanes:
            lane.reset()

    def halt(self) -> None:
        """Claim nothing until there are new lanes."""
        self._is_halted = True
        self.reset()

    def end(self) -> None:
        for lane in self.lanes:
            lane.end()

    async def drained(self) -> None:
        for lane in self.lanes:
            await lane.drained()

    @property
    def bytes(self) -> int:
        """What waits in the lanes, as memory."""
        return sum(lane.buffer.memory for lane in self.lanes)

    async def room(self) -> None:
        """Returns when a lane has taken something."""
        waits = {asyncio.ensure_future(lane.buffer.room()) for lane in self.lanes}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def deal(self, messages: Sequence[Message], positions: Mapping[Partition, int]) -> None:
        """Give messages to the lanes of their partitions."""
        if len(self.lanes) == 1:
            self.lanes[0].accept(messages, positions)
            return
        hands: list[list[Message]] = [[] for _ in self.lanes]
        start = 0
        for run in runs(messages):
            hands[self._number_of(run.partition)] += messages[start : run.stop]
            start = run.stop
        for lane, hand in zip(self.lanes, hands, strict=True):
            lane.accept(hand, positions)

    async def take(
        self, starts: Mapping[Partition, int], committed: Mapping[Partition, int] | None = None
    ) -> Mapping[Partition, int]:
        """See Claims."""
        if self._is_halted:
            raise Unavailable("the pipeline is halted")
        generation = self._generation
        self._counters.rebalances += 1
        try:
            with self._breaker.watching(CLAIMING):
                found = await self._claim_in_lanes(*self._begin(starts, committed or {}))
        except (Unavailable, Retry) as error:
            self._breaker.broken(CLAIMING, error)
            raise
        except Drift as error:
            self._failed(error)
            raise Unavailable("the pipeline is halted") from error
        self._breaker.mended(CLAIMING)
        if generation != self._generation:
            raise Fenced("the pipeline began anew while partitions were claimed")
        self._checkpoints.claimed(found)
        for partition in found:
            self._continue_at.pop(partition, None)
        return found

    def _begin(
        self, starts: Mapping[Partition, int], committed: Mapping[Partition, int]
    ) -> tuple[Mapping[Partition, int], Mapping[Partition, int]]:
        """Where partitions begin that no ledger knows, and what the source remembers of the others."""
        at = self._continue_at
        return {p: at.get(p, start) for p, start in starts.items()}, {p: n for p, n in committed.items() if p not in at}

    async def _claim_in_lanes(self, starts: Mapping[Partition, int], committed: Mapping[Partition, int]) -> dict[Partition, int]:
        found: dict[Partition, int] = {}
        for number, lane in enumerate(self.lanes):
            if mine := {p: start for p, start in starts.items() if self._number_of(p) == number}:
                found |= await lane.claim(mine, committed)
        return found

    async def release(self, partitions: Sequence[Partition]) -> None:
        """See Claims."""
        generation = self._generation
        done = [await lane.release([p for p in partitions if self.lane_of(p) is lane]) for lane in self.lanes]
        if generation == self._generation and not all(done):
            self._failed(Fenced("what was in flight of revoked partitions did not end in time"))
        await self._checkpoints.commit()
        self._checkpoints.forget(partitions)

    async def recognise(self, messages: Sequence[Message]) -> None:
        """See Claims."""
        for lane in self.lanes:
            if mine := [m for m in messages if self.lane_of(m.position.partition) is lane]:
                await lane.ledgers.recognise(mine)

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        """See Claims."""
        await self.lane_of(partition).skip(partition, span, reason)

    def lane_of(self, partition: Partition) -> Lane:
        return self.lanes[self._number_of(partition)]

    def _number_of(self, partition: Partition) -> int:
        return (zlib.crc32(partition.topic.encode()) + partition.number) % len(self.lanes)
