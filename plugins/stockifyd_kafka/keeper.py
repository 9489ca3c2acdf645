"""The keeper: a task beside the reading that releases, proves, claims, and connects anew."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from logging import Logger

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from stockifyd.api import Claims, Drift, Fenced, Retry, StockifydError, Unavailable
from stockifyd_kafka.assignment import Assignment, Claim, Prove, Release
from stockifyd_kafka.claiming import Beginning, Claimer, Scout, brief
from stockifyd_kafka.ending import Ending
from stockifyd_kafka.errors import is_kafka, meaning
from stockifyd_kafka.member import Member
from stockifyd_kafka.options import KafkaOptions

TICK_SECS = 1.0
LONGEST_PAUSE_SECS = 5.0
ENDS_SECS = 10.0
RENEWALS = 3


@dataclass
class Keeper:
    """Works on what the machine asks for. `keep` runs as a task of its own for as long as somebody reads."""

    options: KafkaOptions
    log: Logger
    instance_id: int
    machine: Assignment[TopicPartition] = field(default_factory=Assignment)
    member: Member | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set for the keeper: the machine may have work."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the keeper: the machine may allow a fetch."""
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    ending: Ending[TopicPartition] = field(init=False)
    stalled: Mapping[TopicPartition, int] = field(default_factory=dict)
    """Set by the reader: where something should have come, and did not."""
    renewals: int = 0
    """How often in a row we connected anew for that; the reader sets it back."""
    _beginning: Beginning | None = None
    _trouble: float | None = None
    _ends_at: float = 0.0

    def __post_init__(self) -> None:
        self.ending = Ending(self.options.end is not None)

    async def open(self) -> None:
        """Connect and join. May be called again after Unavailable."""
        fresh = Member(self.options, self.log, machine=self.machine, wake=self.wake, instance_id=self.instance_id)
        partitions = await fresh.open()
        if self._beginning is None:
            try:
                self._beginning = Beginning(partitions, await fresh.committed(partitions))
            except Exception as error:
                await fresh.close()
                if not is_kafka(error):
                    raise
                raise meaning(error, f"cannot read the offsets of group '{self.options.group}'") from error
        self.member = fresh

    async def close(self) -> None:
        """Leave the group."""
        member, self.member = self.member, None
        if member is not None:
            await member.close()

    async def keep(self, claims: Claims) -> None:
        """Work until cancelled. Raises Drift for an operator, Unavailable when connecting anew did not help."""
        while True:
            self.wake.clear()
            await self._look()
            work = self.machine.work()
            match work:
                case Release(partitions):
                    await claims.release([self._member.names[tp] for tp in sorted(partitions)])
                    self.machine.released()
                case Prove(generation, attempt):
                    await self._prove(generation, attempt)
                case Claim():
                    await self._claim(claims, work)
                case None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.wake.wait(), TICK_SECS)
            self.news.set()

    @property
    def _member(self) -> Member:
        if self.member is None:
            raise Unavailable("not connected to Kafka", hint="`open` comes before `read`")
        return self.member

    async def _prove(self, generation: int, attempt: int) -> None:
        await self._pause(attempt)
        if await self._member.prove():
            self._member.perform(self.machine.proved(generation))
        else:
            self.machine.failed(generation)

    async def _claim(self, claims: Claims, work: Claim[TopicPartition]) -> None:
        await self._pause(work.attempt)
        member, tps = self._member, work.partitions
        try:
            offsets = await self._take(claims, member, tps) if tps else {}
        except Exception as error:
            found = meaning(error, "cannot claim") if is_kafka(error) else error
            if not isinstance(found, (Unavailable, Retry, Fenced)):
                raise found from error
            if found is not error:  # what the sinks cannot do, the runtime says itself
                self._say_trouble(found)
            self.machine.failed(work.generation)
            return
        self._say_well()
        member.perform(self.machine.claimed(work.generation, offsets))
        if work.generation == self.machine.generation:
            self.log.info("✓ Assigned partitions: %s", brief(tps))

    async def _take(self, claims: Claims, member: Member, tps: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        committed = await member.committed(tps)
        claimer = Claimer(self.options, self.log, member.names, self._beginning or Beginning())
        offsets, logs = await claimer.claim(claims, committed, tps)
        # Written down before the first fetch: a crash before the first commit must not begin at a later `latest`.
        await member.commit({tp: offset for tp, offset in offsets.items() if tp not in committed})
        member.durable.update(offsets)
        self.ends, self.ending.stops = dict(logs.end), dict(logs.stop)
        return offsets

    async def _pause(self, attempt: int) -> None:
        if attempt:
            await asyncio.sleep(min(0.1 * 2**attempt, LONGEST_PAUSE_SECS) * random.uniform(0.5, 1))  # noqa: S311 - jitter

    async def _look(self) -> None:
        if self._member.closed:  # connecting anew was cut off
            await self._renew()
        try:
            self._member.check()
        except Exception as error:
            if not is_kafka(error):
                raise
            found = meaning(error, f"group '{self.options.group}'")
            if isinstance(found, Drift):
                raise found from error
            self.log.warning("%s; connecting anew", found.reason)
            await self._renew()
        if self.stalled:
            stalled, self.stalled = self.stalled, {}
            await self._examine(stalled)
        if self.machine.paused and self.machine.positions and time.monotonic() - self._ends_at > ENDS_SECS:
            self._ends_at = time.monotonic()
            with suppress(TimeoutError, KafkaError):  # only figures: the next round asks again
                self.ends.update(await self._member.ends())

    async def _examine(self, stalled: Mapping[TopicPartition, int]) -> None:
        """Nothing came for `stall_secs`: is there anything to come, and are we waiting for it?"""
        try:
            async with Scout(self.options, self.log) as scouting:
                end = (await scouting.logs(list(stalled))).end
        except Exception as error:
            if not is_kafka(error):
                raise
            await self._renew()  # it does not answer at all: a fresh connection cannot hurt, and cures a half-open one
            return
        behind = [tp for tp, position in self.machine.standing(stalled).items() if self.ending.cut(tp, end[tp]) > position]
        if not behind:
            return
        if self.renewals >= RENEWALS:
            raise Unavailable(
                f"{brief(behind)}: more to read, but nothing came for {self.options.stall_secs} s, after connecting anew"
                f" {self.renewals} times",
                hint="look at the brokers' logs; a restart of this process is the next thing to try",
            )
        self.renewals += 1
        self.log.warning("%s: more to read, but nothing came for %s s; connecting anew", brief(behind), self.options.stall_secs)
        await self._renew()

    async def _renew(self) -> None:
        cluster = self._member.names.cluster
        self.machine.on_revoked()
        await self._member.close()
        attempt = 0
        while True:
            try:
                await self.open()
            except Unavailable as error:
                self._say_trouble(error)
                attempt += 1
                await self._pause(attempt)
            else:
                break
        self._say_well()
        gc.collect()  # clients and failed connections are cycles, and the collector is kept quiet (ADR 9)
        if self._member.names.cluster != cluster:
            raise Drift(
                f"{self.options.brokers} was cluster {cluster!r} and is {self._member.names.cluster!r}",
                hint="check `brokers`; to read another cluster, restart",
            )

    def _say_trouble(self, error: StockifydError) -> None:
        if self._trouble is None:
            self._trouble = time.monotonic()
            self.log.warning("%s; trying again until it works", error.reason)

    def _say_well(self) -> None:
        if self._trouble is not None:
            self.log.info("works again after %.1f s", time.monotonic() - self._trouble)
            self._trouble = None
