"""What holds of a ledger in trouble: cut, killed, broken, handed over; rows, dead letters and offsets stay one."""
# ruff: noqa: SIM300  # what is expected stands first in an assert

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from stockifyd.api import Batch, Drift, Fenced, LedgerSink, Partition, Retry, Unavailable
from stockifyd.testing import faults
from stockifyd.testing.contracts.component import CUTS
from stockifyd.testing.contracts.sink import SinkContract
from stockifyd.testing.facts import fact, settle
from stockifyd.testing.making import PARTITION

L = TypeVar("L", bound=LedgerSink[Any])


class LedgerTrouble(SinkContract[L]):
    """The hooks of LedgerContract, and the facts of a ledger to which something happens."""

    def dead_letters(self, sink: L) -> Sequence[tuple[int, str]] | Awaitable[Sequence[tuple[int, str]]]:
        """(offset, reason) of all dead letters that are durable now, by offset."""
        raise NotImplementedError

    async def ready(self, sink: L, batch: Batch | None = None) -> None:
        await sink.claim({partition: span.base for partition, span in batch.advance.items()} if batch else {PARTITION: 0})

    async def at(self, sink: L, partition: Partition = PARTITION) -> int | None:
        """What the ledger knows of a partition."""
        return (await sink.stored([partition])).get(partition)

    async def letters(self, sink: L) -> list[tuple[int, str]]:
        """The stored dead letters."""
        return [(offset, reason) for offset, reason in await settle(self.dead_letters(sink))]

    @fact
    async def test_cut_short_all_or_nothing(self, tmp_path: Path) -> None:
        """Wherever a write is cancelled, rows, dead letters and offset are all there, or none is."""
        first = 0
        for point in faults.points(CUTS):
            batch = self.batch(3, first=first).reject({1: "bad"})
            async with self.opened(tmp_path) as looking:
                before = len(await self.rows(looking)), len(await self.letters(looking))
            was_cut = await self.cut(tmp_path, batch, point)
            async with self.opened(tmp_path) as sink:
                first = (await sink.claim({PARTITION: 0}))[PARTITION]
                grown = len(await self.rows(sink)) - before[0], len(await self.letters(sink)) - before[1]
            assert (first, *grown) in {(batch.advance[PARTITION].base, 0, 0), (batch.advance[PARTITION].next, 2, 1)}
            if not was_cut:
                break

    @fact
    async def test_killed_all_or_nothing(self, tmp_path: Path) -> None:
        """Wherever a process is killed, rows, dead letters and offset of its batch are all there, or none is."""
        life = self.life(tmp_path)
        if not (self.in_process or faults.is_importable(life.kind)):
            pytest.skip(f"{life.kind.__name__} cannot be imported by another process")
        whole = [self.batch(3, first=3 * n, partition=Partition("killed", n)) for n in range(self.kills)]
        batches = [batch.reject({1: "bad"}) for batch in whole]
        returned = await faults.killed_writing(life, batches, in_process=self.in_process)
        async with self.opened(tmp_path) as sink:
            found = await sink.claim({p: span.base for batch in batches for p, span in batch.advance.items()})
            rows, letters = await self.rows(sink), {offset for offset, _ in await self.letters(sink)}
        for number, (batch, done) in enumerate(zip(batches, returned, strict=True)):
            [(partition, span)] = batch.advance.items()
            there = [*(row in rows for row in self.expected(batch)), 3 * number + 1 in letters, found[partition] == span.next]
            assert there in ([True] * 4, [False] * 4), f"{there} of rows, dead letter, offset"
            assert all(there) or not done, "write had returned"

    @fact
    async def test_claims_that_go_and_come_back(self, tmp_path: Path) -> None:
        """A rebalance and another: the partition goes to a second owner, who writes, and comes back to the first, who goes on."""
        async with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            for number, owner in enumerate((first, second, first, second)):
                assert {PARTITION: 2 * number} == dict(await owner.claim({PARTITION: 0}))
                await owner.write(self.batch(2, first=2 * number))
            with pytest.raises(Fenced):
                await first.write(self.batch(2, first=8))
            assert self.expected(self.batch(8)) == await self.rows(second)

    @fact
    async def test_a_claim_on_a_broken_far_side(self, tmp_path: Path) -> None:
        """`claim` and `stored` say by one of the errors that the far side is away; afterwards they work again."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await settle(self.break_it(sink))
            with suppress(Retry, Unavailable, Drift):
                await sink.stored([PARTITION])
            with suppress(Retry, Unavailable, Drift):
                await sink.claim({PARTITION: 0})
            await settle(self.mend_it(sink))
            answers: list[Mapping[Partition, int]] = [await sink.claim({PARTITION: 0}), await sink.stored([PARTITION])]
            assert [{PARTITION: 0}] * 2 == [dict(answer) for answer in answers]
