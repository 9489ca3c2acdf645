"""What is on its way to a sink goes before the batch that is to be made."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import replace

from stockifyd.api import Batch, Receipt
from stockifyd.runtime.head_start import HeadStart
from stockifyd.runtime.pipeline import Pipeline
from stockifyd.testing import MemoryLedger, MemoryStore, MemoryTopic
from unit.runtime.pipelines import FAST, blueprint, bodies, texts

LONG = 3600.0


class Watched(Batch):
    """One that a weak reference may be of."""


class Telling(MemoryLedger):
    """Says that it has sent a batch before it stores it."""

    async def write(self, batch: Batch) -> Receipt:
        self.sent()
        return await super().write(batch)


async def test_a_place_is_free_once_it_is_sent() -> None:
    """And nothing holds the batch that was written any more; to say it again frees no other place."""
    slots, head_start, written = asyncio.Semaphore(0), HeadStart(LONG), Watched(())
    watched = weakref.ref(written)
    head_start.give(slots, written)
    del written
    await asyncio.sleep(0)
    assert slots.locked()
    assert watched() is not None
    head_start.end()
    head_start.end()
    await asyncio.wait_for(slots.acquire(), 10)
    await asyncio.sleep(0)
    assert slots.locked()
    assert watched() is None


async def test_a_place_is_free_after_a_while() -> None:
    """Where a sink does not say that it has sent anything."""
    slots, head_start = asyncio.Semaphore(0), HeadStart(0.001)
    head_start.give(slots, Batch(()))
    await asyncio.wait_for(slots.acquire(), 10)


async def test_a_sink_that_says_so_has_the_next_batch_made() -> None:
    """Without waiting, in each lane: nothing else would make it within the hour."""
    topic, store = MemoryTopic(*bodies(700), partitions=7), MemoryStore()
    plan = blueprint(topic, store, sink=Telling, lanes=2, batch_max_rows=10)
    async with asyncio.timeout(20):
        await Pipeline(plan, timing=replace(FAST, head_start_secs=LONG)).run()
    assert sorted(bodies(700)) == sorted(texts(store))
