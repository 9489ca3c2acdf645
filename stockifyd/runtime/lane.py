"""One lane: some of the partitions, with transforms and sinks of their own; batches in order, read and written side by side."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stockifyd.api import Batch, Message, Partition, Span
from stockifyd.runtime.buffer import Buffer, size_of
from stockifyd.runtime.delivery import Delivery
from stockifyd.runtime.head_start import HeadStart
from stockifyd.runtime.isolation import parts
from stockifyd.runtime.ledgers import Ledgers
from stockifyd.runtime.runs import runs
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.side import SideSink
from stockifyd.runtime.transforming import Transforms

FIRST_MESSAGES = 32
FORGET = 0.25  # of what a message had in rows, after a batch with fewer
OVERLAP = 2  # a batch is made while another is written
NOT_OURS = sys.maxsize


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a lane works with: its own components, and the ways to them."""

    transforms: Transforms
    ledgers: Ledgers
    delivery: Delivery
    side_sinks: Sequence[SideSink] = ()


class Lane:
    """Batches of its partitions, from `accept` to durable. `run` does the work until it is cancelled."""

    def __init__(self, equipment: Equipment, *, shared: Shared) -> None:
        self.buffer = Buffer()
        self._shared = shared
        self._head_start = HeadStart(shared.timing.head_start_secs)
        self.refit(equipment)
        self._expected: dict[Partition, int] = {}
        self._base: dict[Partition, int] = {}
        self._positions: Mapping[Partition, int] = {}
        self._made: asyncio.Queue[Batch] = asyncio.Queue()
        self._in_flight: list[Batch] = []
        self._settled = asyncio.Event()
        self._slots = asyncio.Semaphore(OVERLAP)
        self._rows_a_message = shared.options.batch_max_rows / FIRST_MESSAGES
        self._is_ending = False
        self._may_make = asyncio.Event()
        self._may_make.set()

    @property
    def ledgers(self) -> Ledgers:
        return self._equipment.ledgers

    @property
    def is_settled(self) -> bool:
        """Whether nothing is in flight."""
        return not self._in_flight

    @property
    def holds_only_lost(self) -> bool:
        """Whether something is in flight, and all of it is of partitions that are not ours any more."""
        return bool(self._in_flight) and all(batch.advance.keys().isdisjoint(self._base) for batch in self._in_flight)

    @property
    def owned(self) -> frozenset[Partition]:
        return frozenset(self._base)

    @property
    def read_to(self) -> Mapping[Partition, int]:
        """The offset behind the last message accepted, of each partition that is owned."""
        return self._expected

    async def claim(self, starts: Mapping[Partition, int], committed: Mapping[Partition, int]) -> dict[Partition, int]:
        """Own partitions in every ledger; messages are accepted from the answered offsets on."""
        found = await self.ledgers.claim(starts, committed)
        self._expected.update(found)
        self._base.update(found)
        return found

    async def release(self, partitions: Sequence[Partition]) -> bool:
        """Forget what waits of these; True when what is in flight of them came to its end in time."""
        gone = set(partitions)
        self.buffer.drop(gone)
        for partition in gone:
            self._expected.pop(partition, None)
            self._base.pop(partition, None)
        try:
            async with asyncio.timeout(self._shared.timing.release_secs):
                while any(not gone.isdisjoint(batch.advance) for batch in self._in_flight):
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return False
        finally:
            self.ledgers.release(partitions)
        return True

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        """Go on behind a gap, once it is recorded."""
        await self.ledgers.skip(partition, span, reason)
        self._expected[partition] = self._base[partition] = span.next
        self._shared.counters.gaps += 1

    def accept(self, messages: Sequence[Message], positions: Mapping[Partition, int]) -> None:
        """Queue what is ours and not yet read; `positions` where reading stands beyond the messages.

        Nothing behind `end`: a fetch that was under way then is read again by the next owner.
        """
        if self._is_ending:
            return
        expected, kept, size, start = self._expected, list[Message](), 0, 0
        for run in runs(messages):
            next_offset = expected.get(run.partition, NOT_OURS)
            if run.first >= next_offset:
                kept += messages[start : run.stop]
                size += run.bytes
            elif run.next > next_offset:
                rest = [m for m in messages[start : run.stop] if m.position.offset >= next_offset]
                kept += rest
                size += size_of(rest)
            if run.next > next_offset:
                expected[run.partition] = run.next
            start = run.stop
        self._shared.counters.fetched += len(kept)
        self._positions = positions
        if kept or any(n > self._expected.get(p, NOT_OURS) for p, n in positions.items()):
            self.buffer.put(kept, size)

    async def run(self) -> None:
        """Make, write and look, side by side; raises what stops the lane."""
        try:
            async with asyncio.TaskGroup() as group:
                for side in self._equipment.side_sinks:
                    group.create_task(side.run())
                group.create_task(self._make())
                group.create_task(self._write())
                group.create_task(self._look())
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from several

    async def drained(self) -> None:
        """Returns when nothing waits and nothing is in flight."""
        while self.buffer or self._in_flight:
            self._settled.clear()
            await self._settled.wait()

    async def settled(self) -> None:
        """Returns when nothing is in flight."""
        while self._in_flight:
            self._settled.clear()
            await self._settled.wait()

    def hold(self) -> None:
        """Make no more batches until `go_on`; what comes waits."""
        self._may_make.clear()

    def go_on(self) -> None:
        """Make batches again."""
        self._may_make.set()

    def refit(self, equipment: Equipment) -> None:
        """Work with these from now on. Only while `run` is not running and nothing is in flight."""
        self._equipment = equipment
        equipment.delivery.when_sent(self._head_start.end)

    def end(self) -> None:
        """Make no more batches: what is in flight is the last."""
        self._is_ending = True
        self.buffer.clear()
        self._settled.set()

    def abandon(self) -> None:
        """Forget what is in flight: it was not written. Only while `run` is not running."""
        self._in_flight.clear()
        self._made = asyncio.Queue()
        self._slots = asyncio.Semaphore(OVERLAP)
        self._settled.set()

    def reset(self) -> None:
        """Forget everything, what is owned too. Only while `run` is not running."""
        self.buffer.clear()
        self.ledgers.release(self._base)
        self._expected.clear()
        self._base.clear()
        self.abandon()

    async def _make(self) -> None:
        """Close batches as soon as there is a place for one: the slower the sink, the bigger they are."""
        while True:
            await self._slots.acquire()
            batch = await self._next_batch()
            self._in_flight.append(batch)
            made = await self._equipment.transforms.apply(batch)
            await self._equipment.delivery.prepare(made)
            self._shared.counters.batches += 1
            if made.messages:
                seen = made.row_count / len(made.messages)
                self._rows_a_message = max(seen, FORGET * self._rows_a_message, 0.01)
            self._made.put_nowait(made)

    async def _next_batch(self) -> Batch:
        while True:
            await self.buffer.filled()
            await self._linger()
            await self._may_make.wait()
            if self._is_ending:
                continue
            most = max(1, int(self._shared.options.batch_max_rows / self._rows_a_message))
            messages = self.buffer.take(self._shared.options.batch_max_bytes, most)
            if advance := self._advance(messages):
                return Batch(tuple(messages), advance=advance)

    async def _linger(self) -> None:
        """Wait for a batch to fill, where the options say so."""
        until = time.monotonic() + self._shared.options.linger_ms / 1000
        most = max(1, int(self._shared.options.batch_max_rows / self._rows_a_message))
        while (left := until - time.monotonic()) > 0 and not self.buffer.is_full(self._shared.options.batch_max_bytes, most):
            await self.buffer.more(left)

    def _advance(self, messages: Sequence[Message]) -> dict[Partition, Span]:
        """How far these messages move each partition; to where reading stands, if nothing of it waits."""
        to = _ends(messages)
        if not self.buffer:
            to |= {p: n for p, n in self._positions.items() if n > to.get(p, self._base.get(p, NOT_OURS))}
        spans = {p: Span(self._base[p], n) for p, n in to.items() if p in self._base and n > self._base[p]}
        for partition, span in spans.items():
            self._base[partition] = span.next
            self._expected[partition] = max(span.next, self._expected.get(partition, NOT_OURS))
        return spans

    async def _write(self) -> None:
        while True:
            batch = await self._made.get()
            began = time.perf_counter()
            for part in parts(batch, self._shared.options.batch_max_rows):
                done = await self._equipment.delivery.deliver(part)
                self._shared.delivered(done, time.perf_counter() - began)
            self._in_flight.pop(0)
            self._settled.set()
            if self._made.empty():
                self._slots.release()
            else:
                self._head_start.give(self._slots, batch)
            del batch, part, done

    async def _look(self) -> None:
        """Every few seconds, idle or not: is each ledger where we left it?"""
        while True:
            await asyncio.sleep(self._shared.timing.look_at_ledger_secs)
            if not self._shared.attempts.is_waiting:
                await self._shared.attempts.until_done("the ledger", self.ledgers.look)


def _ends(messages: Sequence[Message]) -> dict[Partition, int]:
    """The offset behind the last message of each partition."""
    return {run.partition: run.next for run in runs(messages)}
