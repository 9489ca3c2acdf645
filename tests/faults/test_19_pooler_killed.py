"""Fault 19: PgBouncer is killed, and restarted."""

from __future__ import annotations

import asyncio
import time

from faults.conftest import Sight
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database


async def test_killed_pooler_only_stalls(make_bed: MakeBed, sight: Sight, own_pooler: Database) -> None:
    """A pooler that dies, is away, and comes back costs time and nothing else."""
    pooler, back = own_pooler.pooler, list[float]()
    async with scene(make_bed(database=own_pooler)) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        async with on.feed.flowing(60):
            for end in (pooler.kill, pooler.stop):
                await asyncio.sleep(1.5)
                await asyncio.to_thread(end)
                await worker.until_state("waiting")
                await asyncio.to_thread(pooler.start)
                began = time.monotonic()
                await worker.until_state("running")
                back.append(time.monotonic() - began)
            await asyncio.sleep(1)
            await asyncio.to_thread(pooler.restart)  # too quick to be seen, perhaps
        await on.judge()
        assert worker.log.count("is back after") >= len(back)
        sight.runs = len(back) + 1
        sight.note(
            running_after_secs=" ".join(f"{secs:.1f}" for secs in back), messages=on.feed.sent, snapshots=on.reader.snapshots
        )
