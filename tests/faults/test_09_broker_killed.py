"""Fault 9: kill -9 of the broker, and its return."""

from __future__ import annotations

import asyncio
import time

from faults.conftest import Sight
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.kafka import KafkaServer


async def test_killed_broker_only_stalls(make_bed: MakeBed, sight: Sight, own_kafka: KafkaServer, fault_secs: float) -> None:
    """While the broker is away nothing is lost, and when it is back everything is caught up."""
    async with scene(make_bed(kafka=own_kafka)) as on:
        workers = [on.bed.worker(1, 2), on.bed.worker(2, 2)]
        for worker in workers:
            await worker.until_owning(on.bed.partitions // 2)
        back: list[float] = []
        until = time.monotonic() + fault_secs * 0.4
        while not back or time.monotonic() < until:
            async with on.feed.flowing(60):
                await asyncio.sleep(2)
                own_kafka.kill()
                await asyncio.sleep(3)
                await asyncio.to_thread(own_kafka.start)
                began, moved = time.monotonic(), sum((await on.bed.books.next()).values())
                while sum((await on.bed.books.next()).values()) == moved:
                    assert time.monotonic() - began < 60, "nothing flows a minute after the broker is back"
                    await asyncio.sleep(0.1)
                back.append(time.monotonic() - began)
        sight.runs = len(back)
        await on.judge()
        assert all(worker.alive for worker in workers)
        sight.note(flows_after_secs=" ".join(f"{secs:.1f}" for secs in back), messages=on.feed.sent)
