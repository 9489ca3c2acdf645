"""Fault 12: PostgreSQL stops as at a crash, and starts again."""

from __future__ import annotations

import asyncio
import random
import time

from faults.conftest import Sight
from kit.bed import Scene, scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database


async def test_crashed_database_loses_nothing(
    make_bed: MakeBed, sight: Sight, own_database: Database, chance: random.Random, fault_secs: float
) -> None:
    """After a crash of the server rows and offsets are where they agree, and the stream goes on from there."""
    async with scene(make_bed(database=own_database)) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        back: list[float] = []
        until = time.monotonic() + fault_secs * 0.4
        async with on.feed.flowing(60):
            while not back or time.monotonic() < until:
                await asyncio.sleep(chance.uniform(0.5, 2))
                await asyncio.to_thread(own_database.server.stop, "immediate")
                if not back:  # PgBouncer keeps its clients waiting: that must be told as well
                    await worker.until_state("waiting")
                await asyncio.sleep(chance.uniform(0, 2))
                await asyncio.to_thread(own_database.server.start)
                back.append(await _flows(on))
        sight.runs = len(back)
        await on.judge()
        status = await worker.until_state("running")
        assert status["messages_rejected"] == 0
        sight.note(
            flows_after_secs=" ".join(f"{secs:.1f}" for secs in back), messages=on.feed.sent, snapshots=on.reader.snapshots
        )


async def _flows(on: Scene) -> float:
    """Seconds until the ledger moves."""
    began, moved = time.monotonic(), sum((await on.bed.books.next()).values())
    while sum((await on.bed.books.next()).values()) == moved:
        assert time.monotonic() - began < 60, "nothing flows a minute after the server is back"
        await asyncio.sleep(0.05)
    return time.monotonic() - began
