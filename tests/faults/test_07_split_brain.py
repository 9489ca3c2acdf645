"""Fault 7: two processes that both are sure to own the same partitions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.conftest import Sight, long_form
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic
from kit.proxy import FaultProxy
from kit.worker import Worker

MESSAGES = 1200
LATENCY_SECS = 0.02
"""A war needs something to fight for: without it one of the two may have stored everything before the third battle."""


@pytest.fixture
def twin_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """A second broker of the same cluster id: its coordinator gives the same partitions to a member of its own."""
    server = KafkaServer(tmp_path / "twin")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("keyed", [False, pytest.param(True, marks=long_form)], ids=["plain", "keyed"])
async def test_one_of_two_owners_commits(
    make_bed: MakeBed, sight: Sight, database: Database, twin_kafka: KafkaServer, *, keyed: bool
) -> None:
    """Of two owners of the same partitions one commits at a time, and the war between them ends with an operator being told."""
    bed = make_bed(keyed=keyed)
    await create_topic(twin_kafka.direct, bed.topic, bed.partitions)
    brokers = (bed.kafka.direct, twin_kafka.direct)
    async with FaultProxy(database.pooler.port) as proxy, scene(bed, brokers=brokers, big_every=8, batch_max_rows=100) as on:
        await on.feed.send(MESSAGES)
        await on.feed.settle()  # both logs are whole: neither owner stores what the other's broker does not have
        proxy.latency_secs = LATENCY_SECS
        url = database.url_at(proxy.port)
        workers = [bed.worker(database_url=url), bed.worker(brokers=twin_kafka.bootstrap, database_url=url)]
        loser = await _first_halted(workers)
        proxy.latency_secs = 0
        winner = next(worker for worker in workers if worker is not loser)
        status = await loser.until_state("halted")
        assert f":{winner.pid}" in status["reason"]
        assert await loser.stop() == 0
        await on.judge()
        epochs = max(move.epoch for move in await bed.books.moves())
        sight.note(epochs=epochs, halted=status["reason"][:90], messages=on.feed.sent, snapshots=on.reader.snapshots)


async def _first_halted(workers: list[Worker], within_secs: float = 90) -> Worker:
    deadline = time.monotonic() + within_secs
    while time.monotonic() < deadline:
        for worker in workers:
            if (status := await worker.status()) and status["state"] == "halted":
                return worker
        await asyncio.sleep(0.2)
    raise AssertionError("no one gave way:\n" + "\n".join(worker.log[-2000:] for worker in workers))
