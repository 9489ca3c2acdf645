"""Fault 17: the primary is lost, and a replica that lacks its last transactions is promoted in its place."""

from __future__ import annotations

import asyncio
import random

from faults.conftest import Sight, long_form
from kit.bed import Scene, scene
from kit.evidence import SnapshotReader
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.postgres_replica import PostgresReplica

REWOUND = "it was rewound"


@long_form
async def test_idle_pipeline_notices_the_rewind(
    make_bed: MakeBed, sight: Sight, own_database: Database, replica: PostgresReplica
) -> None:
    """With no message coming and the link whole, the look at the ledger finds what is missing, and it is stored again."""
    async with scene(make_bed(database=own_database)) as on:
        worker = on.bed.worker()
        lost = await _written_behind_its_back(on, replica)
        await asyncio.to_thread(own_database.pooler.admin, "PAUSE")  # no query fails: nothing but the ledger tells
        await asyncio.to_thread(own_database.server.kill)
        reader = await _promoted(on, replica)
        await asyncio.to_thread(own_database.pooler.admin, "RESUME")
        async with reader.watching():
            await worker.until_said(REWOUND)
            await on.judge()
            await on.feed.send(60)
            await on.judge()
        await on.bed.judge(on.feed, reader)
        assert "is back after" not in worker.log
        await _same_system(on, replica)
        sight.note(rewound=lost, messages=on.feed.sent, snapshots=f"{on.reader.snapshots}+{reader.snapshots}")


@long_form
async def test_failover_under_load_loses_nothing(
    make_bed: MakeBed, sight: Sight, own_database: Database, replica: PostgresReplica, chance: random.Random
) -> None:
    """The primary dies while rows are written; where the stale replica's ledger is, reading begins again."""
    async with scene(make_bed(database=own_database)) as on:
        worker = on.bed.worker()
        lost = await _written_behind_its_back(on, replica)
        async with on.feed.flowing(60):
            await asyncio.sleep(chance.uniform(0.5, 2))
            await asyncio.to_thread(own_database.server.kill)
            await worker.until_state("waiting")
            reader = await _promoted(on, replica)
            async with reader.watching():
                await worker.until_state("running")
                await asyncio.sleep(1)
        await on.judge()
        await on.bed.judge(on.feed, reader)
        status = await worker.until_state("running")
        assert status["messages_delivered"] >= on.feed.sent + lost, "nothing was stored a second time: nothing was rewound"
        sight.note(rewound=f"{lost} and more", messages=on.feed.sent, snapshots=f"{on.reader.snapshots}+{reader.snapshots}")


async def _written_behind_its_back(on: Scene, replica: PostgresReplica) -> int:
    """Messages that only the primary has, everything else both; answers with how many."""
    await on.feed.send(120)
    await on.bed.stored(on.feed)
    await asyncio.to_thread(replica.catch_up)
    await asyncio.to_thread(replica.cut_off)
    before = on.feed.sent
    await on.feed.send(120)
    await on.feed.settle()
    await on.bed.settled(on.feed)
    return on.feed.sent - before


async def _promoted(on: Scene, replica: PostgresReplica) -> SnapshotReader:
    """The replica in the primary's place; answers with a reader of it, for the bed's own has lost its server."""
    await asyncio.to_thread(replica.promote)
    pooler = on.bed.database.pooler
    await asyncio.to_thread(pooler.point_at, replica)
    on.bed.database = Database(replica, pooler, on.bed.database.name)
    return SnapshotReader(on.bed.books, on.feed.expected)


async def _same_system(on: Scene, replica: PostgresReplica) -> None:
    """A promotion keeps the identity that the ledger remembers: no operator has to accept the new primary."""
    ledger = await on.bed.sql("SELECT DISTINCT system_identifier FROM stockifyd.ledgers WHERE system_identifier <> ''")
    assert ledger in ("", replica.sql("SELECT system_identifier FROM pg_control_system()"))
