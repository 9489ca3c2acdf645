"""What a soak plays on: servers of its own behind proxies, two workers, a feed, and a reader that watches all the while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kit.bed import Bed, Scene, scene
from kit.fixtures_postgres import READER, WRITER, Database
from kit.kafka import KafkaServer
from kit.pgbouncer import PgBouncer
from kit.postgres import PostgresServer
from kit.proxy import FaultProxy, PostgresProxy
from kit.worker import Worker

STALL_SECS = 5.0
STATEMENT_MS = 5_000
CONNECT_SECS = 5.0
"""Shorter than an operator would have them: what is given up only after minutes would be met by the next faults."""


@dataclass(frozen=True)
class Stage:
    """All that a fault may break. The steadfast worker is never touched itself: it shows what grows over the whole time."""

    scene: Scene
    kafka: KafkaServer
    postgres: PostgresServer
    pooler: PgBouncer
    to_kafka: FaultProxy
    to_pooler: PostgresProxy
    steadfast: Worker
    victim: Worker

    @property
    def bed(self) -> Bed:
        return self.scene.bed

    @property
    def workers(self) -> dict[str, Worker]:
        return {"steadfast": self.steadfast, "victim": self.victim}

    async def shared(self, within_secs: float = 60) -> None:
        """Returns when each worker has half of the partitions."""
        for worker in self.workers.values():
            await worker.until_owning(self.bed.partitions // 2, within_secs=within_secs)


@asynccontextmanager
async def stage(folder: Path, seed: int) -> AsyncIterator[Stage]:
    """Everything up, and down again at the end."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        for role in (WRITER, READER):
            postgres.create_role(role)
        postgres.create_database("soak")
        pooler = stack.enter_context(PgBouncer(postgres))
        kafka = KafkaServer(folder / "kafka")
        to_kafka = await stack.enter_async_context(FaultProxy(kafka.port))
        to_pooler = await stack.enter_async_context(PostgresProxy(pooler.port))
        kafka.advertised_port = to_kafka.port
        stack.callback(kafka.stop)
        await asyncio.to_thread(kafka.start)
        bed = Bed(
            kafka=kafka,
            database=Database(postgres, pooler, "soak"),
            folder=folder,
            seed=seed,
            source={"stall_secs": STALL_SECS},
            sink={"statement_timeout_ms": STATEMENT_MS, "connect_timeout_secs": CONNECT_SECS},
        )
        on = await stack.enter_async_context(scene(bed, on_drift="continue"))  # malformed messages come again and again
        url = bed.database.url_at(to_pooler.port)
        workers = [bed.worker(number, 2, database_url=url) for number in (1, 2)]
        yield Stage(on, kafka, postgres, pooler, to_kafka, to_pooler, *workers)
