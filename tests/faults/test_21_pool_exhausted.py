"""Fault 21: the pool has one server for everybody, and somebody sits on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from faults.conftest import Sight, long_form
from kit.bed import Scene, scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.pgbouncer import PgBouncer

WAIT_SECS = 2


@pytest.fixture
def tight_pooler(database: Database) -> Iterator[Database]:
    """One server, whoever asks; nobody waits for it longer than WAIT_SECS."""
    with PgBouncer(database.server, settings={"default_pool_size": "1", "query_wait_timeout": str(WAIT_SECS)}) as pooler:
        yield Database(database.server, pooler, database.name)


@asynccontextmanager
async def _sitting(database: Database) -> AsyncIterator[None]:
    """A transaction on the pool's only server, that does nothing."""
    hog = await asyncpg.connect(database.url, statement_cache_size=0, timeout=60)
    try:
        for _ in range(30):  # the pool's users wait in line: so do we, and past our time we ask again
            try:
                await hog.execute("BEGIN; SELECT 1")
                break
            except asyncpg.PostgresError:
                hog = await asyncpg.connect(database.url, statement_cache_size=0, timeout=60)
        yield
    finally:
        hog.terminate()


async def _epochs(on: Scene) -> int:
    return max(move.epoch for move in await on.bed.books.moves())


@long_form
@pytest.mark.parametrize("count", [1, 2])
async def test_exhausted_pool_only_slows(make_bed: MakeBed, sight: Sight, tight_pooler: Database, count: int) -> None:
    """Workers share one server by turns, wait in vain while it is taken, and keep their partitions all the while."""
    async with scene(make_bed(database=tight_pooler)) as on:
        workers = [on.bed.worker(number, count) for number in range(1, count + 1)]
        for worker in workers:
            await worker.until_owning(on.bed.partitions // count)
        epochs = await _epochs(on)
        async with on.feed.flowing(60):
            for _ in range(2):
                async with _sitting(tight_pooler):
                    before = sum((await on.bed.books.next()).values())
                    for worker in workers:
                        told = await worker.until_state("waiting")
                    await asyncio.sleep(WAIT_SECS)
                    assert before == sum((await on.bed.books.next()).values())
                for worker in workers:
                    await worker.until_state("running")
        await on.judge()
        assert await _epochs(on) == epochs
        sight.runs = 2
        sight.note(reason=told["reason"][:90], messages=on.feed.sent, snapshots=on.reader.snapshots)
