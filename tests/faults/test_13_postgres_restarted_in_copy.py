"""Fault 13: PostgreSQL is restarted in the middle of a COPY."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from faults.conftest import Sight
from kit.bed import scene
from kit.eventually import eventually
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.proxy import PostgresProxy, copy_block

IN_COPY = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'COPY%'"
BACKLOG = 60
ROUND_SECS = 10


@pytest.fixture
async def proxy(own_database: Database) -> AsyncIterator[PostgresProxy]:
    """Between the worker and PgBouncer."""
    async with PostgresProxy(own_database.pooler.port) as one:
        yield one


async def test_restart_in_copy_loses_nothing(
    make_bed: MakeBed, sight: Sight, proxy: PostgresProxy, own_database: Database, fault_secs: float
) -> None:
    """A fast shutdown waits for no COPY: half of it is gone, and it is written again, whole."""
    rounds = max(2, int(fault_secs / ROUND_SECS))
    async with scene(make_bed(database=own_database), big_every=2) as on:
        worker = on.bed.worker(database_url=own_database.url_at(proxy.port))
        await worker.until_owning(on.bed.partitions)
        for number in range(1, rounds + 1):
            proxy.hold(copy_block(2 + number % 3))
            await on.feed.send(BACKLOG)
            await eventually(lambda n=number: proxy.holds >= n)  # type: ignore[misc]
            assert await on.bed.sql(IN_COPY) == "1"
            await asyncio.to_thread(own_database.server.restart, "fast")
            proxy.release()
        await on.judge()
        sight.runs = rounds
        sight.note(in_copy=proxy.holds, messages=on.feed.sent, snapshots=on.reader.snapshots)
