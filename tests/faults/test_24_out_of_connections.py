"""Fault 24: PostgreSQL has no connection left for us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from faults.conftest import Sight, long_form
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import READER, WRITER, Database
from kit.postgres import PostgresServer

ENDED = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{WRITER}'"


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server with few places; those of the oracles, who are superuser, are reserved."""
    with PostgresServer({"max_connections": "12", "superuser_reserved_connections": "6"}) as server:
        server.create_role(WRITER)
        server.create_role(READER)
        yield server


@asynccontextmanager
async def _crowded(database: Database) -> AsyncIterator[int]:
    """Every place is another's, and stays so; answers with how many there are."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    url = database.server.url(user=READER)
    try:
        while True:
            with suppress(asyncpg.TooManyConnectionsError):
                while True:
                    taken.append(await asyncpg.connect(url, timeout=10))
            if await asyncio.to_thread(database.sql, ENDED) == "0":
                break
            await asyncio.sleep(0.3)  # a backend that was told to end has its place a moment longer
        yield len(taken)
    finally:
        for one in taken:
            await one.close()


@long_form
@pytest.mark.parametrize("pooled", [True, False], ids=["pooled", "direct"])
async def test_without_a_connection_it_waits(make_bed: MakeBed, sight: Sight, own_database: Database, *, pooled: bool) -> None:
    """No place in the server is a reason to wait, neither to halt nor to end, and what was not written comes after."""
    async with scene(make_bed(database=own_database)) as on:
        worker = on.bed.worker(database_url=own_database.url if pooled else own_database.direct_url)
        await worker.until_owning(on.bed.partitions)
        async with on.feed.flowing(60):
            async with _crowded(own_database) as others:
                told = await worker.until_state("waiting")
                await asyncio.sleep(1.5)
                assert worker.alive
            await worker.until_state("running")
        await on.judge()
        sight.note(others=others, reason=told["reason"][:90], messages=on.feed.sent, snapshots=on.reader.snapshots)
