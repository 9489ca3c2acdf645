"""Fault 22: somebody locks the ledger's rows, in reverse order, and for long."""

from __future__ import annotations

import asyncio

import asyncpg

from faults.conftest import Sight
from kit.bed import Scene, scene
from kit.fixtures_bed import MakeBed

LOCK = "SELECT FROM stockifyd.offsets WHERE topic = $1 AND partition = $2 FOR UPDATE"
WAITED_FOR = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"


async def _until_waited_for(somebody: asyncpg.Connection[asyncpg.Record]) -> None:
    """Returns when a backend waits for what we have locked."""
    while not await somebody.fetchval(WAITED_FOR):
        await asyncio.sleep(0.02)


async def _cross(on: Scene, somebody: asyncpg.Connection[asyncpg.Record]) -> None:
    """Lock the last partition; once a swap waits for it, the others backwards. Who waited first is the one to look, and fails."""
    await somebody.execute("SET deadlock_timeout = '60s'")
    async with somebody.transaction():
        await somebody.execute(LOCK, on.bed.topic, on.bed.partitions - 1)
        await _until_waited_for(somebody)
        for partition in reversed(range(on.bed.partitions - 1)):
            await somebody.execute(LOCK, on.bed.topic, partition)


async def test_deadlock_and_lock_are_retried(make_bed: MakeBed, sight: Sight, fault_secs: float) -> None:
    """The batch that was the victim of a deadlock, or waited too long for a lock, is written again, and nothing halts."""
    deadlocks, locks = "40P01", "55P03"
    wanted = max(1, int(fault_secs / 20))
    async with scene(make_bed(sink={"lock_timeout_ms": 2000})) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        somebody = await on.bed.books.connect()
        async with on.feed.flowing(60), asyncio.timeout(120):
            while worker.log.count(deadlocks) < wanted:
                await _cross(on, somebody)
            for number in range(1, wanted + 1):
                async with somebody.transaction():
                    await somebody.execute(LOCK, on.bed.topic, number % on.bed.partitions)
                    while worker.log.count(locks) < number:
                        await asyncio.sleep(0.05)
        await somebody.close()
        await on.judge()
        assert {} == (await on.bed.books.everything()).letters
        sight.runs = 2 * wanted
        retried = f"{worker.log.count(deadlocks)} deadlocks, {worker.log.count(locks)} locks"
        sight.note(retried=retried, messages=on.feed.sent, snapshots=on.reader.snapshots)
