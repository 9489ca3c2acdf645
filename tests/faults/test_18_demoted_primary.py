"""Fault 18: a standby behind the primary's name."""

from __future__ import annotations

import asyncio

from faults.conftest import Sight, long_form
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.postgres_replica import PostgresReplica


@long_form
async def test_standby_is_waited_out_under_load(
    make_bed: MakeBed, sight: Sight, own_database: Database, replica: PostgresReplica
) -> None:
    """Rows that a standby refuses wait, through a restart of the worker as well, and are stored once the primary is back."""
    primary, pooler = own_database.server, own_database.pooler
    async with scene(make_bed(database=own_database)) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        async with on.feed.flowing(60):
            await worker.until(lambda status: status["messages_delivered"] > 30)
            await asyncio.to_thread(pooler.point_at, replica)
            waiting = await worker.until_state("waiting")
            assert 0 == await worker.stop()
            worker.start()
            await worker.until_said("is a standby, it takes no rows")
            await asyncio.to_thread(pooler.point_at, primary)
            await worker.until_state("running")
        await on.judge()
        status = await worker.until_state("running")
        assert status["messages_rejected"] == 0
        sight.note(waiting=waiting["reason"][:90], messages=on.feed.sent, snapshots=on.reader.snapshots)


@long_form
async def test_stale_standby_does_not_mislead_an_idle_pipeline(
    make_bed: MakeBed, sight: Sight, own_database: Database, replica: PostgresReplica
) -> None:
    """Its ledger is behind, and may be read but not claimed: the pipeline waits, and goes on where the primary is."""
    primary, pooler = own_database.server, own_database.pooler
    async with scene(make_bed(database=own_database)) as on:
        worker = on.bed.worker()
        await on.feed.send(120)
        await on.bed.stored(on.feed)
        await asyncio.to_thread(replica.catch_up)
        await asyncio.to_thread(replica.cut_off)
        await on.feed.send(120)
        await on.feed.settle()
        await on.bed.settled(on.feed)
        await asyncio.to_thread(pooler.point_at, replica)
        waiting = await worker.until_state("waiting")
        await asyncio.to_thread(pooler.point_at, primary)
        await on.judge()
        await on.feed.send(60)
        await on.judge()
        sight.note(waiting=waiting["reason"][:90], messages=on.feed.sent, snapshots=on.reader.snapshots)
