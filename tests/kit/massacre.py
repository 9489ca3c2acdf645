"""kill -9 of workers at random, of any of them at any moment of their lives, and all of them back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from kit.proxy import FaultProxy
from kit.worker import Worker

LEAST = 4
PATIENCE_SECS = 90.0
COMMIT_SECS = 1.0
"""How often offsets are committed to Kafka."""


async def massacre(
    workers: Sequence[Worker], chance: random.Random, *, secs: float, link: FaultProxy | None = None, everyone: bool = False
) -> int:
    """Kill one or several, start them again, mostly let them come to work, and so on for so long; answers with the deaths.

    What goes through `link` before a kill may be lost on its way, long enough for a commit to be due. `everyone`: it goes on
    until each has died.
    """
    until, deaths, rounds = time.monotonic() + secs, 0, 0
    spared = set(workers) if everyone else set[Worker]()
    while rounds < LEAST or spared or time.monotonic() < until:
        if chance.random() < 0.8:  # else they die while they start
            await asyncio.gather(*map(at_work, workers))
        await asyncio.sleep(chance.uniform(0, 1.0))
        victims = chance.sample(workers, chance.randint(1, len(workers) - 1))
        if link is not None and chance.random() < 0.5:
            link.swallow = True
            await asyncio.sleep(chance.uniform(COMMIT_SECS, 2 * COMMIT_SECS))
        for victim in victims:
            victim.kill()
        spared -= set(victims)
        if link is not None:
            link.reset_links()
            link.swallow = False
        await asyncio.sleep(chance.uniform(0, 0.3))
        for victim in victims:
            victim.start()
        deaths, rounds = deaths + len(victims), rounds + 1
    return deaths


async def at_work(worker: Worker) -> None:
    """It has partitions."""
    await worker.until(lambda status: bool(status["partitions"]), within_secs=PATIENCE_SECS)
