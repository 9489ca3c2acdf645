"""One member of a consumer group: aiokafka's consumer, with what its traps ask for around it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import Logger
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka

from stockifyd.api import Drift, Message, Partition
from stockifyd_kafka.assignment import Assignment, Pause, Resume, Seek
from stockifyd_kafka.connection import CONNECT_SECS, cluster_id, member_consumer, reach
from stockifyd_kafka.errors import is_kafka, meaning
from stockifyd_kafka.leftovers import let_go
from stockifyd_kafka.options import KafkaOptions
from stockifyd_kafka.parting import stop
from stockifyd_kafka.portion import Portion
from stockifyd_kafka.unpacking import Fetches
from stockifyd_kafka.watch import Seen

COMMIT_SECS = 5
FETCH_WAIT_MS = 500

Action = Pause[TopicPartition] | Resume[TopicPartition] | Seek[TopicPartition]


class Names(dict[TopicPartition, Partition]):
    """Each partition as the runtime knows it: one object for each, made when first asked for."""

    def __init__(self, cluster: str) -> None:
        super().__init__()
        self.cluster = cluster

    def __missing__(self, tp: TopicPartition) -> Partition:
        self[tp] = found = Partition(tp.topic, tp.partition, self.cluster)
        return found


class UnreadableError(Exception):
    """getmany raised: what it had taken out of aiokafka's buffers may be gone."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch brought, and where each assigned partition stands right after it."""

    messages: Sequence[Message] = ()
    seen: Mapping[TopicPartition, Seen] = field(default_factory=dict)
    drained: bool = True


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """A consumer in its group. The machine is told of every assignment; `wake` is set for who works on it."""

    def __init__(
        self, options: KafkaOptions, log: Logger, *, machine: Assignment[TopicPartition], wake: asyncio.Event, instance_id: int
    ) -> None:
        self.options, self.log = options, log
        self.names = Names("")
        self.durable: dict[TopicPartition, int] = {}
        """Offsets below which all is stored, of this assignment: what may be committed to prove membership."""
        self._machine, self._wake, self._closed = machine, wake, False
        self._commits: set[asyncio.Future[None]] = set()
        self._portion = Portion()
        self._consumer: AIOKafkaConsumer = member_consumer(options, instance_id=instance_id)

    async def open(self) -> frozenset[TopicPartition]:
        """Connect and join; answers with all partitions of the topics. Drift for what an operator must cure, else Unavailable."""
        try:
            await reach(self.options)
            self.names = Names(await cluster_id(self.options))
            async with asyncio.timeout(CONNECT_SECS):
                await self._consumer.start()
                self._consumer._fetcher._records = Fetches(self.names, self._portion)  # noqa: SLF001
                found = await self._partitions()
            self._consumer.subscribe(self.options.topics, listener=self)
        except BaseException as error:
            await self.close()
            if not is_kafka(error):
                raise
            raise meaning(error, f"{self.options.brokers}: cannot connect") from error
        return found

    @property
    def closed(self) -> bool:
        return self._closed

    async def close(self) -> None:
        """Leave the group. Bounded in time."""
        self._closed = True
        await stop(self._consumer, self.log, beside=self._commits)

    async def _partitions(self) -> frozenset[TopicPartition]:
        # A full list creates nothing; asking for a topic by name would, where brokers allow it.
        there = await self._consumer.topics()
        if missing := [topic for topic in self.options.topics if topic not in there]:
            raise Drift(
                f"no topic {', '.join(map(repr, missing))} on {self.options.brokers}, or no right to see it; none is created",
                hint=f"kafka-topics.sh --create --topic {missing[0]} --partitions 60; or check `topics`",
            )
        for topic in self.options.topics:
            await self._consumer._client.add_topic(topic)  # noqa: SLF001 - else no partitions before the join
        numbers = {topic: self._consumer.partitions_for_topic(topic) or () for topic in self.options.topics}
        return frozenset(TopicPartition(topic, number) for topic, all_of_it in numbers.items() for number in all_of_it)

    # aiokafka calls these two while the group waits: they must neither wait nor fail.

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """All partitions are about to be dealt anew."""
        let_go(self._consumer, revoked)
        if not self._closed:
            if self._machine.assigned:
                self.log.info("The group rebalances: partitions are given back")
            self._machine.on_revoked()
            self._wake.set()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """These are ours, and paused until they are claimed."""
        if not self._closed:
            self.durable.clear()
            self.perform(self._machine.on_assigned(assigned))
            self._wake.set()

    def perform(self, actions: Iterable[Action]) -> None:
        """Do what the machine asks for, at once."""
        for action in actions:
            match action:
                case Pause(partitions):
                    let_go(self._consumer, partitions)
                    self._consumer.pause(*partitions)
                case Resume(partitions):
                    self._consumer.resume(*partitions)
                case Seek(offsets):
                    let_go(self._consumer, offsets)
                    for tp, offset in offsets.items():
                        self._consumer.seek(tp, offset)

    async def fetch(self, generation: int) -> Fetched:
        """Take what has come, or wait a little for it. Never cancel this: what it took would be lost."""
        try:
            parts = await self._consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=self._portion.begin())
        except Exception as error:
            raise UnreadableError from error
        if generation != self._machine.generation:
            return Fetched()
        # No await suspends between getmany's end and here: these are the positions behind what it took.
        seen = {tp: await self._seen(tp) for tp in self._machine.positions}
        messages = [message for of_one in parts.values() for part in of_one for message in part]
        return Fetched(messages, seen, drained=not self._portion.is_spent)

    async def _seen(self, tp: TopicPartition) -> Seen:
        position: int = await self._consumer.position(tp)
        end = self._consumer.highwater(tp)
        if self.options.isolation == "read_committed" and (stable := self._consumer.last_stable_offset(tp) or -1) >= 0:
            end = stable
        return Seen(position, position if end is None else end, self._consumer.last_poll_timestamp(tp) or 0)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit under our group generation; what is not ours is left out. Raises aiokafka's errors, TimeoutError.

        Nothing is ours while the group deals anew: that would be answered behind the join, as of a generation that is gone, and
        aiokafka would join again, and with a claim's commit again and again.
        """
        assigned = self._machine.assigned or frozenset()
        ours = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if ours:
            await self._committed(ours)
            self.durable.update(ours)

    async def _committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        # Bounded, but not cancelled: aiokafka shields a task inside, whose failure nobody would hear of. It is tried again for
        # ever, so there is one at a time, and the last ends with the member.
        if self._commits and (await asyncio.wait(self._commits, timeout=COMMIT_SECS))[1]:
            raise TimeoutError("the commit before is still not answered")
        work = asyncio.ensure_future(self._consumer.commit(offsets))
        self._commits.add(work)
        work.add_done_callback(self._commits.discard)
        work.add_done_callback(lambda done: done.cancelled() or done.exception())
        done, _ = await asyncio.wait({work}, timeout=COMMIT_SECS)
        if not done:
            raise TimeoutError(f"a commit was not answered for {COMMIT_SECS} s")
        work.result()

    async def prove(self) -> bool:
        """Whether the group still knows us: it takes a commit of something that is committed, or may be."""
        known = next(iter(self.durable.items()), None)
        if known is None:
            return True
        try:
            await self.commit(dict([known]))
        except (kafka.KafkaError, TimeoutError) as error:
            found = meaning(error, "cannot prove to be a member of the group")
            if isinstance(found, Drift):
                raise found from error
            self.log.debug("%s", found.reason)
            return False
        return True

    async def committed(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """What the group has committed for these, ours or not."""
        async with asyncio.timeout(CONNECT_SECS):
            found: list[int | None] = await asyncio.gather(*(self._consumer.committed(tp) for tp in tps))
        return {tp: offset for tp, offset in zip(tps, found, strict=True) if offset is not None}

    async def ends(self) -> dict[TopicPartition, int]:
        """Where the logs of our partitions end."""
        async with asyncio.timeout(CONNECT_SECS):
            found: dict[TopicPartition, int] = await self._consumer.end_offsets(list(self._machine.positions))
        return found

    def check(self) -> None:
        """Raise what the coordinator could not cure. It waits until somebody looks, which else only getmany does."""
        coordinator: Any = self._consumer._coordinator  # noqa: SLF001
        if coordinator is not None:
            coordinator.check_errors()
