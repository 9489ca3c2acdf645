"""A source in memory: scripted messages, rebalances, pauses, rewinds."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated

from msgspec import Meta

from stockifyd.api import Claims, Config, Context, Message, Partition, Source, Span
from stockifyd.testing.memory import MemoryTopic


class MemorySourceOptions(Config, frozen=True):
    topic: Annotated[str, Meta(description="The name of a MemoryTopic.")]
    group: Annotated[str, Meta(description="Who reads; default: the pipeline.")] = ""
    start: Annotated[int, Meta(description="Where a partition begins that nobody knows.")] = 0
    read_max_messages: Annotated[int, Meta(ge=1, description="Messages a read gives at most.")] = 100
    idle_ms: Annotated[int, Meta(ge=1, description="With nothing to read, say so this often.")] = 20


class MemorySource(Source[MemorySourceOptions]):
    """Reads a MemoryTopic: its partitions in turn, bounded unless the topic is endless."""

    type = "memory"

    def __init__(self, config: MemorySourceOptions, context: Context) -> None:
        super().__init__(config, context)
        self.paused = False
        self.at: dict[Partition, int] = {}
        self.beyond: dict[Partition, int] = {}

    @property
    def topic(self) -> MemoryTopic:
        """What is read."""
        return MemoryTopic.named(self.config.topic)

    @property
    def consumer(self) -> str:
        """The group, else the pipeline."""
        return self.config.group or self.context.pipeline

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        topic = self.topic
        topic.reads += 1
        self.at = {}
        while True:
            if topic.failures:
                raise topic.failures.popleft()
            await self._rebalance(claims, topic)
            messages = [] if self.paused else self._next(topic)
            if not messages and not self.paused and self._finished(topic):
                return
            if not messages:
                await self._idle(topic)
            yield messages

    def positions(self) -> Mapping[Partition, int]:
        return self.beyond

    def lag(self) -> Mapping[Partition, int]:
        return {partition: len(self._unread(self.topic, partition)) for partition in self.at}

    def pause(self) -> None:
        self.paused = True
        self.topic.pauses += 1
        self.topic.changed()

    def resume(self) -> None:
        self.paused = False
        self.topic.resumes += 1
        self.topic.changed()

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        self.topic.commits.append(dict(offsets))
        self.topic.committed.update(offsets)
        self.topic.changed()

    async def _rebalance(self, claims: Claims, topic: MemoryTopic) -> None:
        ours = topic.of(self.context.instance_id)
        if lost := sorted(set(self.at) - ours):
            await claims.release(lost)
            self.at = {partition: offset for partition, offset in self.at.items() if partition in ours}
        if new := sorted(ours - set(self.at)):
            known = {p: topic.committed[p] for p in new if p in topic.committed}
            taken = await claims.take(dict.fromkeys(new, self.config.start), known)
            await claims.recognise([m for p in new if (m := _before(topic, p, taken[p]))])
            for partition in new:
                self.at[partition] = await self._begin(claims, partition, taken[partition])

    async def _begin(self, claims: Claims, partition: Partition, offset: int) -> int:
        start = self.topic.logs[partition].start
        if offset < start:
            await claims.skip(partition, Span(offset, start), "retention")
        return max(offset, start)

    def _next(self, topic: MemoryTopic) -> list[Message]:
        messages = list[Message]()
        self.beyond = {}
        for partition in sorted(self.at):
            unread = self._unread(topic, partition)
            part = unread[: self.config.read_max_messages - len(messages)]
            messages += part
            after = part[-1].position.offset + 1 if part else self.at[partition]
            self.at[partition] = topic.logs[partition].end if len(part) == len(unread) else after
            if self.at[partition] > after:
                self.beyond[partition] = self.at[partition]
        return messages

    def _unread(self, topic: MemoryTopic, partition: Partition) -> list[Message]:
        found = topic.logs[partition].messages
        return found[bisect_left(found, self.at[partition], key=lambda m: m.position.offset) :]

    def _finished(self, topic: MemoryTopic) -> bool:
        return not topic.endless and not any(self._unread(topic, partition) for partition in self.at)

    async def _idle(self, topic: MemoryTopic) -> None:
        # A timeout is no error: an idle source must say so, again and again.
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.idle_ms / 1000):
                await topic.next_change()


def _before(topic: MemoryTopic, partition: Partition, offset: int) -> Message | None:
    found = [m for m in topic.logs[partition].messages if m.position.offset < offset]
    return found[-1] if found else None
