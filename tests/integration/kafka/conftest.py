"""A topic, a group and a ledger of its own for each test; sources that are closed at its end."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kit.eventually import eventually
from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic
from kit.ledger import Ledger, pump
from stockifyd.api import Context, configure
from stockifyd_kafka import Kafka, KafkaOptions

_numbers = itertools.count(1)


@dataclass
class Bench:
    """What a test of the source needs."""

    kafka: KafkaServer
    folder: Path
    topic: str
    group: str
    sources: list[Kafka] = field(default_factory=list)

    @property
    def direct(self) -> str:
        return self.kafka.direct

    def options(self, **more: Any) -> dict[str, Any]:
        return {
            "brokers": self.kafka.bootstrap,
            "topics": [self.topic],
            "group": self.group,
            "fetch_min_bytes": 1,
            "fetch_max_wait_ms": 200,
            "metadata_max_age_ms": 1000,
            **more,
        }

    def source(self, **more: Any) -> Kafka:
        options = configure(Kafka, self.options(**more))
        assert isinstance(options, KafkaOptions)
        found = Kafka(options, Context("storage", "kafka", logging.getLogger("stockifyd.kafka"), consumer=self.group))
        self.sources.append(found)
        return found

    def ledger(self, owner: str = "one", **more: Any) -> Ledger:
        return Ledger(self.folder / "ledger.db", owner, **more)

    async def topic_with(self, partitions: int, **configs: str) -> None:
        await create_topic(self.direct, self.topic, partitions, **configs)

    @asynccontextmanager
    async def reading(self, ledger: Ledger, **more: Any) -> AsyncIterator[asyncio.Task[None]]:
        """A source that reads into the ledger as long as the block runs; what it raises is raised by awaiting the task."""
        source = self.source(**more)
        await source.open()
        stop = asyncio.Event()
        task = asyncio.create_task(pump(source, ledger, until=stop))
        try:
            yield task
        finally:
            stop.set()
            await asyncio.wait({task}, timeout=10)
            await source.close()
            if task.done() and not task.cancelled():
                task.exception()

    async def again(self, do: Callable[[], Awaitable[None]]) -> None:
        """Do it until it works; a deleted topic lingers for a moment."""
        for _ in range(100):
            try:
                await do()
            except RuntimeError:
                await asyncio.sleep(0.1)
            else:
                return
        await do()

    async def stored(self, ledger: Ledger, count: int, task: asyncio.Task[None] | None = None) -> list[bytes]:
        """The values, once there are so many."""

        def look() -> list[bytes]:
            if task is not None and task.done():
                task.result()
            found = ledger.values(self.topic)
            return found if len(found) >= count else []

        return await eventually(look)


@pytest.fixture
async def bench(kafka: KafkaServer, tmp_path: Path) -> AsyncIterator[Bench]:
    number = next(_numbers)
    found = Bench(kafka, tmp_path, f"topic-{number}", f"group-{number}")
    yield found
    for source in found.sources:
        await source.close()
