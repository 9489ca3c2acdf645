"""Fault 6: members come and go all the time, gently or not."""

from __future__ import annotations

import asyncio
import random
import signal
import time

from faults.conftest import Sight
from kit.bed import Scene, scene
from kit.fixtures_bed import MakeBed
from kit.worker import Worker

MEMBERS = 6
EVERY_SECS = 2.0


async def test_progress_in_a_storm_of_rebalances(
    make_bed: MakeBed, sight: Sight, chance: random.Random, fault_secs: float
) -> None:
    """One to six members, one of them starting or ending every two seconds: rows flow all the while, none twice."""
    async with scene(make_bed(partitions=12)) as on:
        workers, crowds, stored = [on.bed.worker(1, MEMBERS)], list[int](), [0]
        async with on.feed.flowing(24):
            await workers[0].until_owning(on.bed.partitions)
            until = time.monotonic() + fault_secs
            while time.monotonic() < until:
                await asyncio.sleep(EVERY_SECS)
                _come_or_go(on, workers, chance)
                crowds.append(sum(worker.alive for worker in workers))
                stored.append(sum((await on.bed.books.next()).values()))
        await on.judge()
        assert stored[-1] > stored[len(stored) // 2] > 0, stored
        standstill = max(EVERY_SECS * stored.count(count) for count in stored)
        sight.note(
            members=f"{min(crowds)}-{max(crowds)}",
            longest_standstill=standstill,
            messages=on.feed.sent,
            moves=len(await on.bed.books.moves()),
        )


def _come_or_go(on: Scene, workers: list[Worker], chance: random.Random) -> None:
    """One starts, is stopped or is killed; one that was not told to end is left at least."""
    staying = [worker for worker in workers if worker.alive and not worker.leaving]
    gone = [worker for worker in workers if not worker.alive]
    if len(staying) <= 1 or (len(staying) < MEMBERS and chance.random() < 0.5):
        if gone:
            gone[0].start()
        elif len(workers) < MEMBERS:
            workers.append(on.bed.worker(len(workers) + 1, MEMBERS))
    elif (leaving := chance.choice(staying)) and chance.random() < 0.5:
        leaving.kill()
    else:
        leaving.send(signal.SIGTERM)
