"""What a sink can do of a batch ahead, it may do while the one before is written."""

from __future__ import annotations

import asyncio

from stockifyd.api import Batch, Receipt, Retry
from stockifyd.runtime.lane import FIRST_MESSAGES
from stockifyd.runtime.pipeline import Pipeline
from stockifyd.testing import MemoryLedger, MemoryStore, MemoryTopic
from unit.runtime.pipelines import FAST, blueprint, bodies, running, texts


class Ahead(MemoryLedger):
    """A ledger that says which batch is prepared when another is being written."""

    at_once = 0
    prepared: tuple[Batch, ...] = ()

    async def prepare(self, batch: Batch) -> None:
        self.prepared = (*self.prepared, batch)

    async def write(self, batch: Batch) -> Receipt:
        assert any(batch is prepared for prepared in self.prepared)
        for _ in range(100):
            await asyncio.sleep(0.001)
            if self.prepared[-1] is not batch:
                type(self).at_once += 1
                break
        return await super().write(batch)


class Reluctant(MemoryLedger):
    """One that never can prepare anything."""

    async def prepare(self, batch: Batch) -> None:
        raise Retry("not now")


class Broken(MemoryLedger):
    """One with a bug there."""

    async def prepare(self, batch: Batch) -> None:
        raise KeyError(len(batch.messages))


async def test_a_batch_is_prepared_while_another_is_written() -> None:
    """The very batch that `write` gets."""
    topic, store = MemoryTopic(*bodies(320)), MemoryStore()
    Ahead.at_once = 0
    async with asyncio.timeout(20):
        await Pipeline(blueprint(topic, store, sink=Ahead, batch_max_rows=FIRST_MESSAGES), timing=FAST).run()
    assert bodies(320) == texts(store)
    assert Ahead.at_once > 0


async def test_what_cannot_be_prepared_is_written_nevertheless() -> None:
    """`write` meets the error too, and there it is tried again."""
    topic, store = MemoryTopic(*bodies(20)), MemoryStore()
    async with asyncio.timeout(20):
        await Pipeline(blueprint(topic, store, sink=Reluctant), timing=FAST).run()
    assert bodies(20) == texts(store)


async def test_a_bug_in_it_is_named() -> None:
    """The pipeline pauses as for any bug, and nothing is lost."""
    topic, store = MemoryTopic(*bodies(5)), MemoryStore()
    async with asyncio.timeout(20), running(blueprint(topic, store, sink=Broken)) as pipeline:
        while not pipeline.reason:
            await asyncio.sleep(0.01)
        assert "sink 'sink0' raised KeyError" in pipeline.reason
    assert [] == texts(store)
