"""A test bed: topic, database and spec of their own on real servers, workers that run it, and the verdict of the oracles."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kit import oracles
from kit.evidence import AUDIT, Books, SnapshotReader
from kit.feed import Feed
from kit.fixtures_postgres import Database
from kit.kafka import KafkaServer
from kit.kafka_topics import committed, create_topic
from kit.oracles import Violations
from kit.postgres import PASSWORD
from kit.worker import PROGRAM, Worker, environment

STORAGE = Path(__file__).parents[2] / "pipelines" / "storage.yaml"
PLAIN = """
CREATE TABLE plain_options (LIKE option_contracts);
CREATE TABLE plain_snapshots (LIKE market_snapshots);
CREATE INDEX ON plain_options ("timestamp");
CREATE INDEX ON plain_snapshots ("timestamp");
"""
"""The tables of storage without keys and checks: what is written twice is there twice. The indexes are for the oracles."""
STORED_SECS = 90.0
_numbers = itertools.count(1)


@dataclass
class Bed:
    """Where one test works. `keyed`: the tables of storage, whose keys would refuse what comes twice (and halt)."""

    kafka: KafkaServer
    database: Database
    folder: Path
    partitions: int = 12
    keyed: bool = False
    on_conflict: str = "error"
    """As the tables of storage have it only where it is `ignore`: what comes twice is then left out in silence."""
    seed: int = 0
    topic: str = ""
    workers: list[Worker] = field(default_factory=list)
    source: Mapping[str, Any] = field(default_factory=dict)
    """Options of the source that differ from the storage pipeline's."""
    topic_options: Mapping[str, str] = field(default_factory=dict)
    """As `create_topic` takes them."""
    sink: Mapping[str, Any] = field(default_factory=dict)
    """Options of the sink that differ from the storage pipeline's."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """What else a worker's environment says."""
    name: str = ""
    """Of a bed that shares topic and database with another: it names its group, whose offsets alone its books look at."""

    def __post_init__(self) -> None:
        self.topic = self.topic or f"market.test.{os.getpid()}.{next(_numbers)}"

    @property
    def group(self) -> str:
        return f"{self.topic}-{self.name}-group" if self.name else f"{self.topic}-group"

    @property
    def tables(self) -> tuple[str, str]:
        """Where options and snapshots go."""
        return ("option_contracts", "market_snapshots") if self.keyed else ("plain_options", "plain_snapshots")

    @property
    def books(self) -> Books:
        return Books(self.database.owner_url, self.topic, self.tables, consumer=self.group if self.name else "")

    @property
    def spec(self) -> Path:
        return self.folder / "storage.yaml"

    def write_spec(self, **delivery: Any) -> Path:
        """The storage pipeline, with this bed's topic, group and tables."""
        spec = yaml.safe_load(STORAGE.read_text())
        spec["source"] |= {"topics": [self.topic], "group": self.group, **self.source}
        options, snapshots = self.tables
        into = {"snapshots": snapshots, "options": options}
        spec["sinks"][0]["tables"] = {name: {"into": table, "on_conflict": self.on_conflict} for name, table in into.items()}
        spec["sinks"][0] |= self.sink
        spec["delivery"] |= delivery
        self.spec.write_text(yaml.safe_dump(spec, sort_keys=False))
        return self.spec

    async def prepare(self, **delivery: Any) -> None:
        """Topic, spec, tables, migration, audit."""
        await create_topic(self.kafka.direct, self.topic, self.partitions, **self.topic_options)
        self.write_spec(**delivery)
        if not self.keyed:
            await self._make_plain_tables()
        await self.migrate()
        self.database.sql(AUDIT)

    async def migrate(self, *arguments: str) -> str:
        """`stockifyd migrate`, as the owner; answers with what it said."""
        command = [str(PROGRAM), "migrate", str(self.spec), "--url", self.database.owner_url, *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=False, env=environment(**self.settings())
        )
        if done.returncode:
            raise AssertionError(f"migrate ended with {done.returncode}: {done.stderr}")
        return done.stdout

    async def sql(self, text: str) -> str:
        """Run SQL as the superuser, beside the event loop: it may wait for a lock of the snapshot reader, who is in that loop."""
        return await asyncio.to_thread(self.database.sql, text)

    def settings(self, *, brokers: str = "", database_url: str = "") -> dict[str, str]:
        """What a worker's environment says of its servers."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": brokers or self.kafka.bootstrap,
            "DATABASE_URL": database_url or self.database.url,
            **self.environment,
        }

    def worker(
        self,
        instance: int = 1,
        total: int = 1,
        *,
        arguments: tuple[str, ...] = (),
        plugins: tuple[Path, ...] = (),
        **where: str,
    ) -> Worker:
        """An instance, started; ended with the bed at the latest. `plugins` are files; `where`: brokers, database_url."""
        log = self.folder / f"worker-{len(self.workers) + 1}.log"
        settings = self.settings(**where) | {"XDG_STATE_HOME": str(self.folder / "state")}
        if plugins:
            settings["STOCKIFYD_PLUGINS"] = ":".join(map(str, plugins))
        one = Worker(self.spec, log, settings=settings, instance=(instance, total), arguments=arguments)
        self.workers.append(one)
        return one.start()

    async def stored(self, feed: Feed, *, within_secs: float = STORED_SECS) -> float:
        """Waits until the ledger is where the feed is; answers with the seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < within_secs:
            if await self.books.next() == feed.ends:
                return time.monotonic() - began
            await asyncio.sleep(0.2)
        behind = oracles.behind(feed.ends, await self.books.next())
        raise AssertionError(f"not all is stored after {within_secs} s: {behind[:4]}\n{self.last_words}")

    async def settled(self, feed: Feed, *, within_secs: float = STORED_SECS) -> float:
        """`stored`, those told to end have ended, and no worker that runs is behind or paused (O7)."""
        took = await self.stored(feed, within_secs=within_secs)
        for worker in self.workers:
            if worker.leaving:
                await worker.ended()
            if worker.alive:
                await worker.until(lambda status: not oracles.behind({}, {}, [status]), within_secs=30)
        return took

    async def violations(self, feed: Feed) -> Violations:
        """O1 to O4, O6 and O8, now. O5 is the snapshot reader's, O7 is `settled`'s."""
        stored = await self.books.everything()
        return [
            *oracles.lost(feed.expected, stored),
            *oracles.doubled(feed.expected, stored),
            *oracles.changed(feed.expected, stored),
            *await self.objections(),
        ]

    async def objections(self) -> Violations:
        """O4, O6 and O8, which need not know what was sent."""
        kafka = {p: n for (topic, p), n in (await committed(self.kafka.direct, self.group)).items() if topic == self.topic}
        return [
            *oracles.broken_chain(await self.books.moves()),
            *oracles.ahead(kafka, await self.books.next()),
            *oracles.told_secrets({worker.log_file.name: worker.log for worker in self.workers}, [PASSWORD]),
        ]

    @property
    def last_words(self) -> str:
        """The ends of all logs, for the message of an assertion."""
        return "\n".join(f"--- {worker.log_file.name}\n{worker.log[-2500:]}" for worker in self.workers)

    async def judge(self, feed: Feed, reader: SnapshotReader | None = None) -> None:
        """AssertionError with what any oracle found."""
        found = await self.violations(feed) + (reader.violations if reader else [])
        if found:
            told = "\n".join(found[:20])
            raise AssertionError(f"{len(found)} violations (seed {self.seed}), first:\n{told}\n{self.last_words}")

    def end(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            worker.kill()

    async def _make_plain_tables(self) -> None:
        plain, self.keyed = self.tables, True
        self.write_spec()
        await self.migrate()
        self.keyed = False
        assert plain == self.tables
        self.write_spec()
        self.database.sql(PLAIN)


@dataclass
class Scene:
    """A bed with its feed flowing or ready to, and a reader that watches all the while."""

    bed: Bed
    feed: Feed
    reader: SnapshotReader

    async def judge(self) -> None:
        """Everything is stored, nothing hangs, and no oracle objects."""
        await self.feed.settle()
        await self.bed.settled(self.feed)
        await self.bed.judge(self.feed, self.reader)


@asynccontextmanager
async def scene(bed: Bed, *, brokers: tuple[str, ...] = (), big_every: int = 10, **delivery: Any) -> AsyncIterator[Scene]:
    """A prepared bed with feed and reader; `brokers` where the feed goes elsewhere or to several."""
    try:
        await bed.prepare(**delivery)
        async with AsyncExitStack() as stack:
            feed = Feed(brokers or (bed.kafka.direct,), bed.topic, bed.partitions, seed=bed.seed, big_every=big_every)
            await stack.enter_async_context(feed)
            reader = SnapshotReader(bed.books, feed.expected)
            await stack.enter_async_context(reader.watching())
            yield Scene(bed, feed, reader)
    finally:
        bed.end()
