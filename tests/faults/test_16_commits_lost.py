"""Fault 16: PostgreSQL crashes with synchronous_commit off: commits that were answered are not there any more."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from faults.conftest import Sight, long_form
from kit.bed import Scene, scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import READER, WRITER, Database
from kit.postgres import PostgresServer

WAL_WRITER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"
ROUNDS = 2
"""And the idle one: a fourth rewind within a minute is for an operator, and halts."""


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that keeps much of its log in memory: the WAL writer alone brings it to the disk, and that can be stopped."""
    settings = {"wal_buffers": "32MB", "shared_buffers": "256MB", "wal_writer_delay": "10s", "checkpoint_timeout": "1h"}
    with PostgresServer({**settings, "autovacuum": "off"}) as server:
        server.create_role(WRITER)
        server.create_role(READER)
        yield server


class Crashes:
    """Crashes that forget what was committed since `freeze`."""

    def __init__(self, on: Scene, server: PostgresServer) -> None:
        self._on, self._server = on, server
        self._wal_writer = 0
        self.rewound: list[int] = []
        """Messages that each took back."""

    def freeze(self) -> None:
        """From here on nothing of the log leaves the server's memory."""
        self._wal_writer = int(self._server.sql(WAL_WRITER))
        os.kill(self._wal_writer, signal.SIGSTOP)

    async def crash(self) -> None:
        """`stop -m immediate`, and up again."""
        before = await self._on.bed.books.next()
        stopping = asyncio.create_task(asyncio.to_thread(self._server.stop, "immediate"))
        await asyncio.sleep(0.5)
        with suppress(ProcessLookupError):  # frozen it would keep the postmaster waiting
            os.kill(self._wal_writer, signal.SIGKILL)
        await stopping
        await asyncio.to_thread(self._server.start)
        now = await self._on.bed.books.next()
        self.rewound.append(sum(max(0, n - now.get(p, 0)) for p, n in before.items()))


@long_form
async def test_lost_commits_are_written_again(
    make_bed: MakeBed, sight: Sight, own_database: Database, chance: random.Random
) -> None:
    """Rows and offsets rewind together, and the pipeline goes back with them: while it flows, and while it is idle."""
    async with scene(make_bed(database=own_database, sink={"synchronous_commit": "off"})) as on:
        crashes = Crashes(on, own_database.server)
        await asyncio.to_thread(crashes.freeze)  # before the first claim: without it the ledger would be gone
        worker = on.bed.worker()
        for number in range(ROUNDS):
            async with on.feed.flowing(60):
                await worker.until_owning(on.bed.partitions)
                if number:
                    await asyncio.to_thread(crashes.freeze)
                await asyncio.sleep(chance.uniform(0.5, 1.5))
                await crashes.crash()
            await on.bed.settled(on.feed)
        await asyncio.to_thread(crashes.freeze)
        await on.feed.send(100)
        await on.feed.settle()
        await on.bed.stored(on.feed)
        await crashes.crash()  # the worker has nothing to do, and its link to the pooler does not break
        await on.judge()
        assert crashes.rewound[-1] > 0
        assert max(crashes.rewound[:-1]) > 0
        status = await worker.until_state("running")
        sight.runs = len(crashes.rewound)
        told = " ".join(map(str, crashes.rewound))
        sight.note(messages_taken_back=told, rewinds=status["rewinds"], messages=on.feed.sent, snapshots=on.reader.snapshots)
