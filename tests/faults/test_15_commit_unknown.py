"""Fault 15: COMMIT is sent, and no answer comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from faults.conftest import Sight
from kit.bed import scene
from kit.eventually import eventually
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.proxy import Link, PostgresProxy, commit, swap

LATE_SECS = 2.5


class LateProxy(PostgresProxy):
    """Cuts the client off before the COMMIT, and gives it to the server a while later: the transaction is still open then."""

    late = False

    async def _cut(self, message: bytes, link: Link) -> None:
        if not self.late:
            await super()._cut(message, link)
            return
        link.client.transport.abort()
        await asyncio.sleep(LATE_SECS)
        link.target.write(message)
        await link.target.drain()
        await asyncio.sleep(0.2)
        link.reset()


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[LateProxy]:
    """Between the worker and PgBouncer."""
    async with LateProxy(database.pooler.port) as one:
        yield one


Case = Literal["answer lost", "COMMIT lost", "COMMIT late", "swap answered and cut"]


@pytest.mark.parametrize("case", ["answer lost", "COMMIT lost", "COMMIT late", "swap answered and cut"])
async def test_unknown_commit_is_decided_by_the_ledger(make_bed: MakeBed, sight: Sight, proxy: LateProxy, case: Case) -> None:
    """Whether a COMMIT without an answer took effect is read from the ledger, never guessed."""
    times = 2 if case == "COMMIT late" else 3
    async with scene(make_bed()) as on:
        worker = on.bed.worker(database_url=on.bed.database.url_at(proxy.port))
        await worker.until_owning(on.bed.partitions)
        proxy.late = case == "COMMIT late"
        async with on.feed.flowing(60):
            for number in range(1, times + 1):
                await asyncio.sleep(0.5)
                proxy.cut(swap if "swap" in case else commit, "after" if "answer" in case else "before")
                await eventually(lambda n=number: proxy.cuts >= n)  # type: ignore[misc]
        await on.judge()
        sight.runs = proxy.cuts
        said = worker.log.count("the ledger says that it took effect")
        sight.note(cuts=proxy.cuts, found_committed=said, messages=on.feed.sent, snapshots=on.reader.snapshots)
        if case == "answer lost":
            assert said >= 1
