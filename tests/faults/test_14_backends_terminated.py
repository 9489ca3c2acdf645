"""Fault 14: the pooler's servers are terminated every half second."""

from __future__ import annotations

import asyncio
import time

from faults.conftest import Sight
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import WRITER

TERMINATE = f"""SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE usename = '{WRITER}' AND datname = current_database()"""


async def test_terminated_backends_do_not_stop_progress(make_bed: MakeBed, sight: Sight, fault_secs: float) -> None:
    """Though no connection lives for over half a second, the ledger moves on, and nothing is lost or doubled."""
    async with scene(make_bed()) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        ended, at = 0, [sum((await on.bed.books.next()).values())]
        until = time.monotonic() + fault_secs * 0.4
        async with on.feed.flowing(60):
            while time.monotonic() < until:
                await asyncio.sleep(0.5)
                ended += int(await on.bed.sql(TERMINATE))
                at.append(sum((await on.bed.books.next()).values()))
        assert at[-1] > at[len(at) // 2] > at[0]
        await on.judge()
        sight.runs = ended
        sight.note(terminated=ended, stored_meanwhile=at[-1] - at[0], messages=on.feed.sent, snapshots=on.reader.snapshots)
