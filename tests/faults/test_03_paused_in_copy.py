"""Fault 3: a worker that stands still inside COPY, with rows in the server that are not committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from faults.conftest import Sight, long_form
from kit.bed import scene
from kit.eventually import eventually
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.proxy import PostgresProxy, copy_block

BACKLOG = 120
IN_COPY = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'COPY%'"
EVICTED = "ended a stuck transaction of an earlier owner"
LEFT_BEHIND = "ended a COPY that an earlier owner left behind"


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[PostgresProxy]:
    """Between the sleeper and PgBouncer."""
    async with PostgresProxy(database.pooler.port) as one:
        yield one


@long_form
@pytest.mark.parametrize("keyed", [False, True], ids=["plain", "keyed"])
async def test_sleeper_in_copy_does_not_stop_its_heir(
    make_bed: MakeBed, sight: Sight, proxy: PostgresProxy, *, keyed: bool
) -> None:
    """The heir stores what the sleeper has half written: past it, or where the sleeper's keys are in the way, without it."""
    async with scene(make_bed(keyed=keyed), big_every=2) as on:
        await on.feed.send(BACKLOG)
        await on.feed.settle()
        proxy.hold(copy_block(3))  # two blocks of a thousand rows are in: from there on COPY has taken keys
        sleeper = on.bed.worker(1, 2, database_url=on.bed.database.url_at(proxy.port))
        await eventually(lambda: proxy.holds)
        sleeper.freeze()
        backend = int(await on.bed.sql(IN_COPY))
        heir = on.bed.worker(2, 2)
        async with on.feed.flowing(12):
            await heir.until(lambda status: status["messages_delivered"] > BACKLOG)
            still = await on.bed.sql(f"{IN_COPY} AND pid = {backend}")
            assert still == ("" if keyed else str(backend))
            proxy.release()
            sleeper.thaw()
            await sleeper.until_owning(on.bed.partitions // 2)
        await on.judge()
        assert (EVICTED in heir.log) == keyed
        fenced = "fenced" if "belongs to" in sleeper.log else "told by Kafka"
        sight.note(sleeper=fenced, evicted=EVICTED in heir.log, messages=on.feed.sent, snapshots=on.reader.snapshots)


@long_form
async def test_copy_left_behind_keeps_no_pause_waiting(make_bed: MakeBed, sight: Sight, own_pooler: Database) -> None:
    """In nobody's way, it is ended when no client would take so long any more: PAUSE, which waits for it, comes back."""
    bed = make_bed(database=own_pooler, sink={"statement_timeout_ms": 5000})
    async with PostgresProxy(own_pooler.pooler.port) as proxy, scene(bed, big_every=2) as on:
        await on.feed.send(BACKLOG)
        await on.feed.settle()
        proxy.hold(copy_block(3))
        sleeper = on.bed.worker(1, 2, database_url=on.bed.database.url_at(proxy.port))
        await eventually(lambda: proxy.holds)
        sleeper.freeze()
        heir, began = on.bed.worker(2, 2), time.monotonic()
        async with on.feed.flowing(12):
            await heir.until_said(LEFT_BEHIND, within_secs=120)
            after = time.monotonic() - began
            await asyncio.to_thread(own_pooler.pooler.admin, "PAUSE")
            await asyncio.to_thread(own_pooler.pooler.admin, "RESUME")
            proxy.release()
            sleeper.thaw()
            await sleeper.until_owning(on.bed.partitions // 2)
        await on.judge()
        sight.note(ended_after_secs=round(after), messages=on.feed.sent, snapshots=on.reader.snapshots)
