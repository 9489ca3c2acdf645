"""Fault 25: a link to PostgreSQL with half a second of latency and 100 KB a second."""

from __future__ import annotations

import asyncio

from faults.conftest import Sight, long_form
from kit.bed import Scene, scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.kafka_topics import producer
from kit.proxy import FaultProxy

MESSAGES = 1800
PADDED = 256 * 1024
LATENCY_SECS = 0.5
BANDWIDTH = 100_000


@long_form
async def test_slow_database_is_waited_for(make_bed: MakeBed, sight: Sight, database: Database, fault_secs: float) -> None:
    """A backlog far larger than what may wait in memory is written as fast as the link allows, by one owner."""
    async with FaultProxy(database.pooler.port) as proxy, scene(make_bed(partitions=4)) as on:
        worker = on.bed.worker(database_url=database.url_at(proxy.port))
        await on.feed.send(40)
        await on.bed.settled(on.feed)
        before = worker.peak_mib
        proxy.latency_secs, proxy.bandwidth = LATENCY_SECS, BANDWIDTH
        await _send_padded(on)
        began = sum((await on.bed.books.next()).values())
        await asyncio.sleep(fault_secs / 2)
        status = await worker.until_state("running")
        slowly = sum((await on.bed.books.next()).values()) - began
        assert status["lag"], "the link was not slow enough to judge by"
        assert slowly, "nothing was written in all that time"
        proxy.latency_secs = proxy.bandwidth = 0
        await on.judge()
        moves = await on.bed.books.moves()
        assert {1} == {move.epoch for move in moves}
        status = await worker.until_state("running")
        assert 0 == status["rewinds"]
        backlog = MESSAGES * PADDED // 2**20
        sight.note(backlog_mib=backlog, peak_mib=f"{before} to {worker.peak_mib}", stored_slowly=slowly, messages=on.feed.sent)
        assert worker.peak_mib - before < backlog // 2


async def _send_padded(on: Scene) -> None:
    """Small chains in large messages: the link has little to carry, memory much."""
    async with producer(on.bed.kafka.direct, max_batch_size=2**20) as client:
        for number in range(MESSAGES):
            value, content = on.feed.chain(number % on.bed.partitions)
            partition, _ = on.feed.plan(number % on.bed.partitions, content)
            await client.send(on.bed.topic, value.ljust(PADDED), partition=partition)
        await client.flush()
