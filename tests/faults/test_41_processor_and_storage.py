"""Fault 41: kill -9 of the processor's workers and of storage's, at random, while vendors' answers flow through both."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from faults.conftest import Sight
from kit.bed import Bed
from kit.fixtures_bed import MakeBed
from kit.kafka import KafkaServer
from kit.kafka_topics import committed, create_topic, end_offsets, read_all
from kit.market import INSTRUMENTS, NO_ANSWER, answers, enriched, stored, write_spec
from kit.massacre import at_work, massacre
from kit.proxy import FaultProxy
from kit.stream import Copy, Stream, copies, unlike
from kit.worker import Worker
from stockifyd_optionchain.simulator import Produced

RATE, STRIKES, BAD_EVERY = 60, 10, 200
STORED_SECS = 120.0


async def test_the_table_is_exact_across_both(
    make_bed: MakeBed,
    sight: Sight,
    chance: random.Random,
    fault_secs: float,
    proxied: tuple[KafkaServer, FaultProxy],
) -> None:
    """Every row of every chain is in the tables once, as it was answered, though the topic between them has chains twice."""
    kafka, link = proxied
    async with platform(make_bed(kafka=kafka, keyed=True, on_conflict="ignore", source={"membership": "static"})) as on:
        seed = on.bed.seed
        stream = Stream(kafka.direct, on.raw, on.bed.partitions, answers(seed, strikes=STRIKES, bad_every=BAD_EVERY))
        await asyncio.gather(*map(at_work, on.bed.workers))
        async with stream.flowing(RATE):
            deaths = await massacre(on.bed.workers, chance, secs=fault_secs, link=link)
        await on.settled(stream)
        good = {place: one for place, one in stream.sent.items() if one.value != NO_ANSWER}
        made = copies(await read_all(kafka.direct, on.bed.topic))
        faults = [*unlike(made, good), *await on.dead(stream.sent.keys() - good.keys()), *await on.bed.objections()]
        faults += await unlike_tables(on.bed, good.values())
        assert not faults, f"seed {seed}, {len(faults)} faults: {faults[:10]}\n{on.bed.last_words}"
        sight.runs = deaths
        sight.note(answers=len(stream.sent), chains=len(good), twice_in_the_topic=twice(made))


class Platform:
    """The bed of storage, with a processor before it; two workers of each."""

    def __init__(self, bed: Bed) -> None:
        self.bed, self.raw, self.grave, self.group = bed, f"{bed.topic}.raw", f"{bed.topic}.dead", f"{bed.topic}-processor-group"

    async def start(self) -> None:
        """Topics, specs, tables, workers."""
        await create_topic(self.bed.kafka.direct, self.raw, self.bed.partitions)
        await create_topic(self.bed.kafka.direct, self.grave, 1)
        await self.bed.prepare()
        spec = write_spec("processor", self.bed.folder / "processor.yaml", self._placed)
        settings = self.bed.settings() | {"INSTRUMENTS_FILE": INSTRUMENTS, "XDG_STATE_HOME": str(self.bed.folder / "state")}
        for instance in (1, 2):
            log = self.bed.folder / f"processor-{instance}.log"
            self.bed.workers.append(Worker(spec, log, settings=settings, instance=(instance, 2)).start())
            self.bed.worker(instance, 2, brokers=self.bed.kafka.direct)

    def _placed(self, spec: dict[str, Any]) -> None:
        source = {"brokers": self.bed.kafka.direct, "topics": [self.raw], "group": self.group, "membership": "static"}
        spec["source"] |= source  # the sink's way goes through the proxy
        spec["sinks"][0]["topic"] = self.bed.topic
        spec["delivery"]["dead_letters"]["sink"]["topic"] = self.grave

    async def settled(self, stream: Stream) -> None:
        """Returns when the processor has committed all that was sent, and storage's ledger all that was made of it."""
        async with asyncio.timeout(STORED_SECS):
            while await self._committed() != stream.ends:
                await asyncio.sleep(0.2)
            ends = await end_offsets(self.bed.kafka.direct, self.bed.topic)
            while {p: n for p, n in (await self.bed.books.next()).items() if n} != ends:
                await asyncio.sleep(0.2)

    async def _committed(self) -> dict[int, int]:
        found = await committed(self.bed.kafka.direct, self.group)
        return {partition: offset for (_, partition), offset in found.items() if offset}

    async def dead(self, wanted: Iterable[tuple[int, int]]) -> list[str]:
        """What is wrong with the dead letters: exactly these, at least once."""
        letters = [json.loads(record.value) for record in await read_all(self.bed.kafka.direct, self.grave)]
        found = {(letter["partition"], letter["offset"]) for letter in letters}
        assert {self.raw} >= {letter["topic"] for letter in letters}
        return [f"{place} is a dead letter on one side only" for place in sorted(found ^ set(wanted))]


@asynccontextmanager
async def platform(bed: Bed) -> AsyncIterator[Platform]:
    """Both services at work; ended in any case."""
    made = Platform(bed)
    try:
        await made.start()
        yield made
    finally:
        bed.end()


async def unlike_tables(bed: Bed, good: Iterable[Produced]) -> list[str]:
    """Rows that are missing, too many, or not as they should be."""
    expected = await stored(await enriched(good))
    letters = await bed.sql("SELECT count(*) FROM stockifyd.dead_letters")
    found = [] if letters == "0" else [f"{letters} dead letters"]
    async with bed.books.reading() as connection:
        for table, name in (("option_contracts", "options"), ("market_snapshots", "snapshots")):
            there = Counter(tuple(row) for row in await connection.fetch(f"SELECT * FROM {table}"))
            wanted = Counter(expected[name])
            found += [f"{table} has not {row}" for row in wanted - there]
            found += [f"{table} should not have {row}" for row in there - wanted]
    return found


def twice(made: list[Copy]) -> int:
    """Chains that are in the topic more than once."""
    return sum(count > 1 for count in Counter(one.origin for one in made).values())
