"""Fault 4: a worker that stands still between its swap and COMMIT, with the ledger's rows locked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from faults.conftest import Sight, long_form
from kit.bed import Scene, scene
from kit.eventually import eventually
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import WRITER, Database
from kit.proxy import PostgresProxy, after, commit, swap
from kit.worker import Worker

IDLE = f"""SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction' AND usename = '{WRITER}'"""
"""Of workers; the reader of snapshots may be between two questions."""
TIMED_OUT = "due to idle-in-transaction timeout"
EVICTED = "ended a stuck transaction of an earlier owner"


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[PostgresProxy]:
    """Between the sleeper and PgBouncer."""
    async with PostgresProxy(database.pooler.port) as one:
        yield one


async def _frozen_before_commit(on: Scene, proxy: PostgresProxy) -> Worker:
    """A worker that stands still while the server waits for its COMMIT."""
    sleeper = on.bed.worker(1, 2, database_url=on.bed.database.url_at(proxy.port))
    await sleeper.until_owning(on.bed.partitions)
    proxy.hold(after(swap, commit))
    await eventually(lambda: proxy.holds)
    sleeper.freeze()
    assert await on.bed.sql(IDLE) == "1"
    return sleeper


async def test_server_ends_what_says_nothing(make_bed: MakeBed, sight: Sight, proxy: PostgresProxy) -> None:
    """The server's own timeout frees the ledger's rows, and the sleeper writes the same again."""
    async with scene(make_bed(sink={"idle_in_transaction_timeout_ms": 1500})) as on:
        before = on.bed.database.server.log.read_text().count(TIMED_OUT)
        async with on.feed.flowing(30):
            sleeper = await _frozen_before_commit(on, proxy)
            while await on.bed.sql(IDLE) != "0":
                assert sleeper.alive
            proxy.release()
            sleeper.thaw()
        await on.judge()
        ended = on.bed.database.server.log.read_text().count(TIMED_OUT) - before
        assert ended == 1
        sight.note(ended_by_the_server=ended, messages=on.feed.sent, snapshots=on.reader.snapshots)


@long_form
async def test_heir_evicts_who_says_nothing(make_bed: MakeBed, sight: Sight, proxy: PostgresProxy) -> None:
    """Where the server is told to wait for long, the new owner's claim ends the sleeper's transaction, and fences it."""
    async with scene(make_bed(sink={"idle_in_transaction_timeout_ms": 300_000})) as on:
        async with on.feed.flowing(30):
            sleeper = await _frozen_before_commit(on, proxy)
            heir = on.bed.worker(2, 2)
            await heir.until_owning(on.bed.partitions)
            proxy.release()
            sleeper.thaw()
            await sleeper.until_owning(on.bed.partitions // 2)
        await on.judge()
        assert heir.log.count(EVICTED) == 1
        sight.note(evicted=heir.log.count(EVICTED), messages=on.feed.sent, snapshots=on.reader.snapshots)
