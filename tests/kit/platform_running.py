"""The five pipelines that ship, on real servers: their vendor, their environment, their workers, and how far they are."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from kit.evidence import AUDIT, Books
from kit.fixtures_postgres import READER, WRITER, Database
from kit.kafka import KafkaServer
from kit.kafka_topics import committed, create_topic, end_offsets
from kit.market import INSTRUMENTS, PIPELINES, write_spec
from kit.pgbouncer import PgBouncer
from kit.postgres import PASSWORD
from kit.postgres_replica import PostgresReplica
from kit.vendor import Asked, Reply
from kit.worker import PROGRAM, Worker, environment
from stockifyd_optionchain.simulator import Simulator
from stockifyd_optionchain.simulator.api import UpstoxApi
from stockifyd_optionchain.simulator.board import Board

RAW, ENRICHED, ANALYSED, DEAD = "market.raw", "market.enriched", "market.analytics", "market.dead"
PARTITIONS = 6
AGAINST_THE_STREAM = ("analytics", "storage", "processor", "ingestion")
PASSED_SECS = 120.0
CALENDAR = """version: 1
name: {name}
timezone: {zone}
known_from: 2000-01-01
known_until: 2099-12-31
weekdays: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]
hours: [{{open: "{open}", close: "{close}"}}]
"""
Offsets = Mapping[int, int]


@dataclass
class Platform:
    """Where the pipelines run. `zone` is one in which it is about noon, so that a market's day does not end in a test."""

    kafka: KafkaServer
    database: Database
    replica: PostgresReplica
    replica_pooler: PgBouncer
    vendor_url: str
    folder: Path
    interval_secs: float
    workers: dict[str, list[Worker]] = field(default_factory=dict)
    zone: str = field(default_factory=lambda: f"Etc/GMT{datetime.now(UTC).hour - 12:+d}")

    @property
    def every_worker(self) -> list[Worker]:
        return [one for several in self.workers.values() for one in several]

    @property
    def today(self) -> date:
        """The market's day."""
        return datetime.now(ZoneInfo(self.zone)).date()

    def books(self, consumer: str = "") -> Books:
        """The database's side, with the ledger of a consumer."""
        return Books(self.database.owner_url, ENRICHED, ("option_contracts", "market_snapshots"), consumer=consumer)

    @property
    def settings(self) -> dict[str, str]:
        """What leads the specs to these servers."""
        return {
            "DATABASE_URL": self.database.url,
            "DATABASE_REPLICA_HOSTS": f"127.0.0.1:{self.replica_pooler.port}",
            "DATABASE_NAME": self.database.name,
            "DATABASE_USER": WRITER,
            "DATABASE_PASSWORD": PASSWORD,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.direct,
            "KAFKA_MEMBERSHIP": "static",
            "UPSTOX_URL": self.vendor_url,
            "POLL_INTERVAL_SECS": str(self.interval_secs),
            "CALENDAR_FILE": str(self.folder / "always.yaml"),
            "INSTRUMENTS_FILE": INSTRUMENTS,
            "HISTORICAL_FOLDER": str(self.folder),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "STOCKIFYD_RUNTIME": str(self.folder / "run"),
        }

    async def prepare(self) -> None:
        """Topics, tables, what the vendor does not say, and the trigger that watches the ledger."""
        for topic in (RAW, ENRICHED, ANALYSED, DEAD):
            await create_topic(self.kafka.direct, topic, PARTITIONS)
        self.calendar("always", "00:00", "24:00")
        owner = ("--url", self.database.owner_url, "--reader", READER)
        for name, load in (("storage", ("--load", f"instruments={INSTRUMENTS}")), ("analytics", ())):
            code, said = await self.run("migrate", str(PIPELINES / f"{name}.yaml"), *owner, *load)
            assert code == 0, said
        self.database.sql(AUDIT)

    def start(self, instances: int) -> None:
        """So many of each pipeline but `historical`, as they ship; ingestion without the limits of a vendor that counts."""
        for name in AGAINST_THE_STREAM:
            spec = PIPELINES / f"{name}.yaml"
            if name == "ingestion":
                spec = write_spec(name, self.folder / "ingestion.yaml", lambda found: found["source"].pop("limits"))
            self.workers[name] = [self._worker(name, spec, (one + 1, instances)).start() for one in range(instances)]

    def historical(self, begin: datetime, end: datetime) -> Worker:
        """The export of an interval, not started yet."""
        times = {"HISTORICAL_FROM": begin.isoformat(), "HISTORICAL_TO": end.isoformat()}
        one = self._worker("historical", PIPELINES / "historical.yaml", (1, 1), **times)
        self.workers["historical"] = [one]
        return one

    async def run(self, *arguments: str, database_url: str = "") -> tuple[int, str]:
        """A command of stockifyd to its end: its exit code, and what it said."""
        where = {"DATABASE_URL": database_url or self.database.url}
        command, env = [str(PROGRAM), *arguments], environment(**self.settings | where)
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, env=env)
        return done.returncode, done.stdout + done.stderr

    def calendar(self, name: str, opened: str, closed: str) -> Path:
        """A file that says when the market is open."""
        path = self.folder / f"{name}.yaml"
        path.write_text(CALENDAR.format(name=name, zone=self.zone, open=opened, close=closed))
        return path

    async def passed(self) -> None:
        """Returns when all that is in `market.raw` now has come through to the tables, and to the replica."""
        async with asyncio.timeout(PASSED_SECS):
            await _until(self._committed, await end_offsets(self.kafka.direct, RAW))
            ends = await end_offsets(self.kafka.direct, ENRICHED)
            for consumer in ("storage-group", "analytics-group"):
                await _until(self.books(consumer).next, ends)
        await asyncio.to_thread(self.replica.catch_up)

    def end(self) -> None:
        """Kill what still runs."""
        for one in self.every_worker:
            one.kill()

    @property
    def last_words(self) -> str:
        """The ends of all logs, for the message of an assertion."""
        return "\n".join(f"--- {one.log_file.name}\n{one.log[-1500:]}" for one in self.every_worker)

    async def _committed(self) -> Offsets:
        found = await committed(self.kafka.direct, "processor-group")
        return {partition: offset for (topic, partition), offset in found.items() if topic == RAW}

    def _worker(self, name: str, spec: Path, instance: tuple[int, int], **settings: str) -> Worker:
        log = self.folder / f"{name}-{instance[0]}.log"
        return Worker(spec, log, settings=self.settings | settings, instance=instance)


def simulated(seed: int, day: date, *, strikes: int, interval_secs: float) -> Callable[[Asked], Reply]:
    """How Upstox's API answers on a simulated day that begins now."""
    board = Board(Simulator(seed, day, strikes=strikes, interval_secs=interval_secs))
    api = UpstoxApi(board)

    def behave(asked: Asked) -> Reply:
        listed = board.listed[asked.query["instrument_key"]]
        if asked.path.endswith("contract"):
            return Reply(msgspec.json.encode({"data": [{"expiry": expiry} for expiry in listed.series]}))
        return Reply(api.answer(listed, date.fromisoformat(asked.query["expiry_date"])))

    return behave


async def _until(found: Callable[[], Awaitable[Offsets]], ends: Offsets) -> None:
    while not _reaches(await found(), ends):
        await asyncio.sleep(0.2)


def _reaches(found: Offsets, ends: Offsets) -> bool:
    return all(found.get(partition, 0) >= end for partition, end in ends.items())
