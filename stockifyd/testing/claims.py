"""Stand-ins for what a runtime gives its components: claims, and the time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from stockifyd.api import Message, Partition, Span
from stockifyd.testing.memory import Gap


class MemoryClaims:
    """Claims for a source without a runtime: answers from `next`, and remembers all that was asked."""

    def __init__(self, stored: Mapping[Partition, int] | None = None) -> None:
        self.next = dict(stored or {})
        self.owned: set[Partition] = set()
        self.taken: list[Mapping[Partition, int]] = []
        self.released: list[Sequence[Partition]] = []
        self.recognised: list[Message] = []
        self.gaps: list[Gap] = []

    async def take(
        self, starts: Mapping[Partition, int], committed: Mapping[Partition, int] | None = None
    ) -> Mapping[Partition, int]:
        self.taken.append(dict(starts))
        self.owned |= set(starts)
        for partition, start in starts.items():
            self.next.setdefault(partition, (committed or {}).get(partition, start))
        return {partition: self.next[partition] for partition in starts}

    async def release(self, partitions: Sequence[Partition]) -> None:
        self.released.append(tuple(partitions))
        self.owned -= set(partitions)

    async def recognise(self, messages: Sequence[Message]) -> None:
        self.recognised += messages

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        self.gaps.append(Gap(partition, span, reason))
        self.next[partition] = span.next


class FakeClock:
    """Time that moves only when somebody sleeps, and at once."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, secs: float) -> None:
        self.slept.append(secs)
        self.now += secs
        await asyncio.sleep(0)
