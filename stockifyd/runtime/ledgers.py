"""The ledger sinks of one lane: who owns a partition, and how far each ledger is."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from stockifyd.api import Batch, Drift, Fenced, LedgerSink, Message, Partition, Sink, Span

ACCEPT_HINT = (
    "was the database, the sink's name or the cluster changed? Point the spec at the old ledger, set `start: committed` to go on"
    " from the source's own offsets, or run with --accept-new-ledger to begin anew at `start`"
)


class Ledgers:
    """Claims, looks and gaps over all ledger sinks of a lane. The lock keeps a sink to one call at a time."""

    def __init__(self, sinks: Sequence[Sink[Any]], *, accept_new: bool = False, continued: Ledgers | None = None) -> None:
        self.sinks: tuple[LedgerSink[Any], ...] = tuple(s for s in sinks if isinstance(s, LedgerSink))
        self.locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.next: dict[str, dict[Partition, int]] = {sink.context.name: {} for sink in self.sinks}
        self._accept_new = accept_new
        self._new = [sink for sink in self.sinks if continued is None or sink not in continued.sinks]
        if continued is not None:
            self.locks.update(continued.locks)
            self.next.update({name: at for name, at in continued.next.items() if name in self.next and not self._is_new(name)})

    def _is_new(self, name: str) -> bool:
        return any(sink.context.name == name for sink in self._new)

    async def take_over(self, at: Mapping[Partition, int]) -> bool:
        """Claim partitions in the ledgers that others did not continue; whether all of them are there."""
        is_there = True
        for sink in self._new if at else ():
            async with self.locks[id(sink)]:
                answer = await sink.claim(at)
            self.next[sink.context.name].update(answer)
            is_there &= all(answer.get(partition) == offset for partition, offset in at.items())
        return is_there

    async def claim(self, starts: Mapping[Partition, int], committed: Mapping[Partition, int]) -> dict[Partition, int]:
        """Own the partitions in every ledger; answer with the least of their offsets."""
        if not self.sinks:
            return {p: committed.get(p, start) for p, start in starts.items()}
        begin = await self._begin(starts, committed)
        lowest: dict[Partition, int] = {}
        for sink in self.sinks:
            async with self.locks[id(sink)]:
                answer = await sink.claim(begin)
            self.next[sink.context.name].update(answer)
            lowest = {p: min(n, lowest.get(p, n)) for p, n in answer.items()}
        return lowest

    async def _begin(self, starts: Mapping[Partition, int], committed: Mapping[Partition, int]) -> dict[Partition, int]:
        """Where a ledger that does not know a partition begins: where the other ledgers are, else at its start."""
        begin: dict[Partition, int] = {}
        for sink in self.sinks:
            async with self.locks[id(sink)]:
                stored = await sink.stored(list(starts))
            begin |= {p: min(n, begin.get(p, n)) for p, n in stored.items()}
        fresh = [p for p in starts if p not in begin]
        # Where the source goes on from its own commit (`start: committed`), a new ledger loses nothing.
        if lost := [p for p in fresh if committed.get(p, starts[p]) != starts[p] and not self._accept_new]:
            raise Drift(f"the source has committed offsets of {names(lost)}, but no ledger knows them", hint=ACCEPT_HINT)
        return begin | {p: starts[p] for p in fresh}

    async def look(self) -> None:
        """Compare every ledger with where we left it. Fenced where one is elsewhere: a rewind, or another owner."""
        for sink in self.sinks:
            expected = self.next[sink.context.name]
            if not expected:
                continue
            async with self.locks[id(sink)]:
                stored = await sink.stored(list(expected))
                moved = [p for p, n in expected.items() if stored.get(p) != n]
            if moved:
                at = f"{stored.get(moved[0])} and not at {expected[moved[0]]}"
                raise Fenced(
                    f"the ledger of '{sink.context.name}' is at {at} in {names(moved[:1])}: it was rewound, or has another owner"
                )

    async def recognise(self, messages: Sequence[Message]) -> None:
        for sink in self.sinks:
            async with self.locks[id(sink)]:
                await sink.recognise(messages)

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        for sink in self.sinks:
            at = self.next[sink.context.name][partition]
            if at < span.next:
                async with self.locks[id(sink)]:
                    await sink.skip(partition, Span(at, span.next), reason)
                self.next[sink.context.name][partition] = span.next

    def moved(self, sink: Sink[Any], batch: Batch) -> None:
        """A batch is durable in a sink."""
        if (known := self.next.get(sink.context.name)) is not None:
            known.update({p: span.next for p, span in batch.advance.items() if p in known})

    def release(self, partitions: Collection[Partition]) -> None:
        """These are not ours any more."""
        for known in self.next.values():
            for partition in tuple(partitions):
                known.pop(partition, None)


def names(partitions: Sequence[Partition], most: int = 3) -> str:
    """Partitions as an operator reads them."""
    shown = ", ".join(f"{p.topic}/{p.number}" for p in partitions[:most])
    return shown if len(partitions) <= most else f"{shown} and {len(partitions) - most} more"
