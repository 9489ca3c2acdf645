"""Claiming partitions: where they begin, what retention took, and whether the topic is still the one we stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from logging import Logger
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from stockifyd.api import Claims, Drift, Message, Partition, Position, Span
from stockifyd_kafka.connection import CONNECT_SECS, scout
from stockifyd_kafka.options import KafkaOptions
from stockifyd_kafka.parting import stop

Offsets = dict[TopicPartition, int]
RECOGNISE_SECS = 5


@dataclass
class Beginning:
    """What decides where a partition begins that nobody knows: what there was when the source was opened."""

    partitions: frozenset[TopicPartition] = frozenset()
    committed: Mapping[TopicPartition, int] = field(default_factory=dict)

    def is_new(self, tp: TopicPartition) -> bool:
        """Whether a partition was added to a topic that the group already read: it begins at its first message."""
        in_use = any(other.topic == tp.topic for other in self.committed)
        return tp not in self.partitions or (in_use and tp not in self.committed)


@dataclass(frozen=True)
class Logs:
    """Where the logs of partitions begin and end, whatever was committed, and where the options say that reading ends."""

    first: Mapping[TopicPartition, int]
    end: Mapping[TopicPartition, int]
    stop: Mapping[TopicPartition, int] = field(default_factory=dict)


class Scout(AbstractAsyncContextManager["Scout"]):
    """Looks at logs, beside the member of the group and without touching its positions."""

    def __init__(self, options: KafkaOptions, log: Logger) -> None:
        self._consumer: AIOKafkaConsumer = scout(options)
        self._log = log

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(CONNECT_SECS):
                await self._consumer.start()
        except BaseException:
            await stop(self._consumer, self._log)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop(self._consumer, self._log)

    async def logs(self, tps: Collection[TopicPartition]) -> Logs:
        """Where they begin and end."""
        async with asyncio.timeout(CONNECT_SECS):
            return Logs(await self._consumer.beginning_offsets(tps), await self._consumer.end_offsets(tps))

    async def at_time(self, tps: Collection[TopicPartition], time_ms: int, end: Mapping[TopicPartition, int]) -> Offsets:
        """The first offset not before a time; the end where there is none."""
        async with asyncio.timeout(CONNECT_SECS):
            found = await self._consumer.offsets_for_times(dict.fromkeys(tps, time_ms))
        return {tp: end[tp] if found[tp] is None else found[tp].offset for tp in tps}

    async def records(self, wanted: Mapping[TopicPartition, int]) -> list[ConsumerRecord]:
        """The records at these offsets; those not there (control records, compacted) or not come in time are left out."""
        found: list[ConsumerRecord] = []
        missing, deadline = set(wanted), time.monotonic() + RECOGNISE_SECS
        self._consumer.assign(list(wanted))
        for tp, offset in wanted.items():
            self._consumer.seek(tp, offset)
        while missing and time.monotonic() < deadline:
            for tp, records in (await self._consumer.getmany(*missing, timeout_ms=500, max_records=len(missing))).items():
                missing.discard(tp)
                self._consumer.pause(tp)
                found += (record for record in records[:1] if record.offset == wanted[tp])
        return found


@dataclass
class Claimer:
    """Claims what the group has assigned, once for each call."""

    options: KafkaOptions
    log: Logger
    partitions: Mapping[TopicPartition, Partition]
    beginning: Beginning

    async def claim(self, claims: Claims, committed: Offsets, tps: Collection[TopicPartition]) -> tuple[Offsets, Logs]:
        """Answers with the offsets to read next and with where the logs stand. Drift where an operator must decide."""
        async with Scout(self.options, self.log) as scouting:
            logs = await scouting.logs(tps)
            starts = await self._starts(scouting, committed, logs)
            taken = await claims.take(self._named(starts), self._named(committed))
            offsets = {tp: taken[self.partitions[tp]] for tp in tps}
            if any(offset > logs.end[tp] for tp, offset in offsets.items()):
                logs = await scouting.logs(tps)  # an earlier owner stored what came after we looked
            for tp in sorted(tps):
                offsets[tp] = await self._check(claims, tp, offsets[tp], logs)
            await self._recognise(claims, scouting, {tp: o - 1 for tp, o in offsets.items() if o > logs.first[tp]})
            if self.options.end_ms is not None:
                self._tell_begun_before([tp for tp in tps if starts[tp] == offsets[tp] == logs.first[tp] > 0])
                logs = replace(logs, stop=await scouting.at_time(tps, self.options.end_ms, logs.end))
        return offsets, logs

    async def _starts(self, scouting: Scout, committed: Offsets, logs: Logs) -> Offsets:
        match self.options.start:
            case "earliest":
                wanted = dict(logs.first)
            case "latest":
                wanted = dict(logs.end)
            case "committed":
                wanted = {**logs.first, **committed}
                self._tell_unknown([tp for tp in logs.first if tp not in committed and not self.beginning.is_new(tp)])
            case _:
                wanted = await scouting.at_time(list(logs.first), self.options.start_ms or 0, logs.end)
        return {tp: logs.first[tp] if self.beginning.is_new(tp) and tp not in committed else wanted[tp] for tp in logs.first}

    def _tell_unknown(self, tps: Sequence[TopicPartition]) -> None:
        if tps:
            self.log.warning(
                "group '%s' has committed nothing for %s: they begin at their first message", self.options.group, brief(tps)
            )

    def _tell_begun_before(self, tps: Sequence[TopicPartition]) -> None:
        if tps and self.options.start_ms is not None:
            self.log.warning(
                "%s: what lay before the first message is gone, so messages since %s may be missing",
                brief(tps),
                self.options.start,
            )

    async def _check(self, claims: Claims, tp: TopicPartition, offset: int, logs: Logs) -> int:
        """The offset to read, behind a gap if there is one and it may be skipped."""
        first, end = logs.first[tp], logs.end[tp]
        name = f"{tp.topic}/{tp.partition}"
        if offset > end:
            raise Drift(
                f"{name}: to be read from offset {offset}, but it ends at {end}: the topic was made anew or cut short",
                hint="if so, read it under a new `group`; else find out which cluster `brokers` points to",
            )
        if offset >= first:
            return offset
        reason = f"the log begins at {first}: retention or a deletion overtook group '{self.options.group}'"
        if self.options.on_gap == "halt":
            raise Drift(
                f"{name}: offsets {offset} to {first - 1} were never read and are gone: {reason}",
                hint="`on_gap: continue` records the gap and goes on behind it; `retention.ms` of the topic gives more time",
            )
        self.log.error("%s: offsets %d to %d were never read and are gone: %s", name, offset, first - 1, reason)
        await claims.skip(self.partitions[tp], Span(offset, first), reason)
        return first

    async def _recognise(self, claims: Claims, scouting: Scout, last: Offsets) -> None:
        records = await scouting.records(last) if last else []
        if records:
            await claims.recognise([message(self.partitions[TopicPartition(r.topic, r.partition)], r) for r in records])

    def _named(self, offsets: Offsets) -> dict[Partition, int]:
        return {self.partitions[tp]: offset for tp, offset in offsets.items()}


def message(partition: Partition, record: ConsumerRecord) -> Message:
    """A record as the runtime takes it; a tombstone is an empty message."""
    return Message(Position(partition, record.offset), record.value or b"", None, record.key, record.timestamp, record.headers)


def brief(tps: Iterable[TopicPartition]) -> str:
    """`[0, 1, 2, ..., 29]`; with several topics a list for each."""
    topics: dict[str, list[int]] = {}
    for tp in sorted(tps):
        topics.setdefault(tp.topic, []).append(tp.partition)
    if len(topics) <= 1:
        return _elided(next(iter(topics.values()), []))
    return ", ".join(f"{topic} {_elided(numbers)}" for topic, numbers in topics.items())


def _elided(numbers: Sequence[int]) -> str:
    shown = list(map(str, numbers))
    return f"[{', '.join(shown if len(shown) <= 5 else [*shown[:3], '...', shown[-1]])}]"  # noqa: PLR2004
