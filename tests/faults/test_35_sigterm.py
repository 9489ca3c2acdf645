"""Fault 35: SIGTERM under load, twice, in a rebalance, and with PostgreSQL away."""

from __future__ import annotations

import asyncio
import random
import signal
import time

from faults.conftest import Sight
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.worker import Worker

STOP_SECS = 45.0
"""TimeoutStopSec of the unit: past it systemd kills."""


async def _timed(worker: Worker) -> tuple[int, float]:
    began = time.monotonic()
    return await worker.stop(STOP_SECS), time.monotonic() - began


async def test_sigterm_under_load_drains(make_bed: MakeBed, sight: Sight, chance: random.Random) -> None:
    """Exit code 0, all that was in hand is stored, and Kafka's group knows how far we are."""
    async with scene(make_bed()) as on:
        worker, took = on.bed.worker(), list[float]()
        async with on.feed.flowing(100):
            for _ in range(2):
                await worker.until_owning(on.bed.partitions)
                await asyncio.sleep(chance.uniform(0, 1.5))
                code, secs = await _timed(worker)
                assert code == 0
                took.append(secs)
                worker.start()
        await on.judge()
        sight.runs = len(took)
        sight.note(stopped_after_secs=" ".join(f"{secs:.1f}" for secs in took), messages=on.feed.sent)


async def test_second_sigterm_leaves_at_once(make_bed: MakeBed, sight: Sight, own_pooler: Database) -> None:
    """Exit code 143 though a write hangs, and nothing is lost or doubled."""
    async with scene(make_bed(database=own_pooler)) as on:
        worker = on.bed.worker()
        async with on.feed.flowing(60):
            await worker.until_owning(on.bed.partitions)
            own_pooler.pooler.admin("PAUSE")  # every write waits now
            await asyncio.sleep(1.5)
            worker.send(signal.SIGTERM)
            await worker.until_said("draining")
            began = time.monotonic()
            worker.send(signal.SIGTERM)
            code = await worker.ended(STOP_SECS)
            secs = time.monotonic() - began
            own_pooler.pooler.admin("RESUME")
            worker.start()
        assert code == 128 + signal.SIGTERM
        await on.judge()
        sight.note(gone_after_secs=round(secs, 2), messages=on.feed.sent)


async def test_sigterm_in_a_rebalance(make_bed: MakeBed, sight: Sight, chance: random.Random) -> None:
    """An instance that is told to stop while the group deals anew ends in time, and the other goes on with all of it."""
    async with scene(make_bed()) as on:
        stays, took = on.bed.worker(1, 2), list[float]()
        async with on.feed.flowing(60):
            await stays.until_owning(on.bed.partitions)
            leaves = on.bed.worker(2, 2)
            for _ in range(2):
                await leaves.until_said("Kafka consumer started")
                await asyncio.sleep(chance.uniform(0, 0.5))
                code, secs = await _timed(leaves)
                assert code == 0
                took.append(secs)
                leaves.start()
            await leaves.until_said("Kafka consumer started")
            assert 0 == await leaves.stop(STOP_SECS)
            await stays.until_owning(on.bed.partitions)
        await on.judge()
        sight.runs = len(took)
        sight.note(stopped_after_secs=" ".join(f"{secs:.1f}" for secs in took), messages=on.feed.sent)


async def test_sigterm_with_the_database_away(make_bed: MakeBed, sight: Sight, own_database: Database) -> None:
    """What cannot be written is abandoned, which the ledger makes safe: exit code 0 in time, and the next start goes on."""
    async with scene(make_bed(database=own_database)) as on:
        worker, took = on.bed.worker(), list[float]()
        async with on.feed.flowing(60):
            for pooler_too in (False, True):
                await worker.until_owning(on.bed.partitions)
                await asyncio.sleep(0.5)
                await asyncio.to_thread(own_database.server.stop, "immediate")
                if pooler_too:
                    await asyncio.to_thread(own_database.pooler.kill)
                await asyncio.sleep(1)
                code, secs = await _timed(worker)
                assert code == 0
                took.append(secs)
                await asyncio.to_thread(own_database.server.start)
                if pooler_too:
                    await asyncio.to_thread(own_database.pooler.start)
                worker.start()
        await on.judge()
        sight.runs = len(took)
        sight.note(stopped_after_secs=" ".join(f"{secs:.1f}" for secs in took), messages=on.feed.sent)
