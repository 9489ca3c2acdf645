"""What holds of every sink: the facts that a pipeline builds on when it calls `write`."""
# ruff: noqa: PT017, SIM300  # what is expected stands first in an assert

from __future__ import annotations

import asyncio
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import pytest

from stockifyd.api import LedgerSink, Partition, Receipt, Reject, Row, Sink, StockifydError, Table
from stockifyd.testing.contracts.extremes import alike, extremes_of
from stockifyd.testing.contracts.sink_trouble import SinkTrouble
from stockifyd.testing.facts import fact

S = TypeVar("S", bound=Sink[Any])

FAR = 1_000_000
"""Numbers of rows that no extreme value is equal to."""


class SinkContract(SinkTrouble[S]):
    """Subclass it: `sink = Csv`, `options(tmp_path)`, `stored(sink)`; the rest has defaults.

    The facts write rows `(number, text)` into the table `options`. A sink that needs other columns overrides `table`,
    `columns` and `row`. For a LedgerSink take LedgerContract.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        sink = getattr(cls, "sink", None)
        if isinstance(sink, type) and issubclass(sink, LedgerSink) and not hasattr(cls, "dead_letters"):
            raise TypeError(f"{cls.__name__}: {sink.__name__} keeps a ledger\nHINT: take LedgerContract[{sink.__name__}].")

    @fact
    async def test_the_whole_batch_is_accounted_for(self, tmp_path: Path) -> None:
        """Each row is stored, or its message is named in the receipt."""
        batch = self.batch(5, 2)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            receipt = await sink.write(batch) or Receipt()
            assert self.expected(batch.reject(receipt.rejected)) == await self.rows(sink)

    @fact
    async def test_what_is_written_stays(self, tmp_path: Path) -> None:
        """Rows are there when the sink is closed and another one is opened."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(self.batch(3))
        async with self.opened(tmp_path) as another:
            assert self.expected(self.batch(3)) == await self.rows(another)

    @fact
    async def test_an_empty_batch(self, tmp_path: Path) -> None:
        """A batch without messages is written without complaint, and stores nothing."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            receipt = await sink.write(self.batch(0)) or Receipt()
            assert (0, []) == (receipt.rows, await self.rows(sink))

    @fact
    async def test_messages_without_rows(self, tmp_path: Path) -> None:
        """Messages of which no row was made are no error."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(self.batch(3, 0))
            assert [] == await self.rows(sink)

    @fact
    async def test_a_batch_with_dead_letters(self, tmp_path: Path) -> None:
        """Neighbours of a rejected message are stored; of itself, no row."""
        batch = self.batch(3).reject({1: "bad"})
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(batch)
            assert [self.row(0), self.row(2)] == await self.rows(sink)

    @fact
    async def test_nothing_but_dead_letters(self, tmp_path: Path) -> None:
        """A batch of which every message was rejected stores no row."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(self.batch(2).reject({0: "bad", 1: "bad"}))
            assert [] == await self.rows(sink)

    @fact
    async def test_the_receipt_counts_rows(self, tmp_path: Path) -> None:
        """A receipt, if there is one, counts the rows that were written and names only messages of the batch."""
        batch = self.batch(4, 3)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            receipt = await sink.write(batch)
            assert receipt is None or receipt.rows == len(await self.rows(sink))
            assert receipt is None or set(receipt.rejected) <= set(range(4))

    @fact
    async def test_order_is_kept(self, tmp_path: Path) -> None:
        """Rows of one batch after another are stored in the order of their messages."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            for first in (0, 3, 6):
                await sink.write(self.batch(3, first=first))
            assert [self.row(number) for number in range(9)] == await self.rows(sink)

    @fact
    async def test_writing_twice(self, tmp_path: Path) -> None:
        """Written again, no row is lost; under `idempotent` none is doubled, and a ledger says Fenced."""
        once = self.batch(3)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(once)
            with suppress(StockifydError):
                await sink.write(once)
            self.check_repeated(once, await self.rows(sink))

    @fact
    async def test_what_is_prepared_is_not_written(self, tmp_path: Path) -> None:
        """To prepare a batch stores nothing, and of several that are prepared `write` stores the one that it is given."""
        first, second = self.batch(2), self.batch(2, first=2)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.prepare(first)
            assert [] == await self.rows(sink)
            await sink.prepare(second)
            await sink.write(first)
            assert self.expected(first) == await self.rows(sink)
            await sink.write(second)
            assert [self.row(number) for number in range(4)] == await self.rows(sink)

    @fact
    async def test_the_batch_is_left_as_it_was(self, tmp_path: Path) -> None:
        """A sink changes nothing of the batch: others write the same one."""
        batch = self.batch(3, 2)
        before = deepcopy(batch)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(batch)
        assert before == batch

    @fact
    async def test_tables_that_are_not_wanted(self, tmp_path: Path) -> None:
        """Where the options name tables, another one in the batch is no error."""
        batch = self.batch(2)
        async with self.opened(tmp_path) as sink:
            if not sink.wants():
                pytest.skip("the sink names no tables: it takes what comes")
            await self.ready(sink)
            await sink.write(batch.with_table("unwanted", Table(("a",), [(1,), (2,)], [1, 2])))
            assert self.expected(batch) == await self.rows(sink)

    def test_wanted_tables_are_told_without_opening(self, tmp_path: Path) -> None:
        """`wants` is static, and names the table of this contract if it names any."""
        wanted = self.make(tmp_path).wants()
        assert not wanted or self.table in wanted

    @fact
    async def test_a_bad_row(self, tmp_path: Path) -> None:
        """Because of a bad row the sink stores nothing and says Reject, or all the rest and says so in its receipt."""
        bad = self.bad_row()
        if bad is None:
            pytest.skip(f"{type(self).__name__} gives no bad_row")
        first, _, last = self.batch(3).tables[self.table].rows
        batch = self.with_rows(self.batch(3), [first, bad, last])
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            try:
                receipt = await sink.write(batch)
            except Reject as why:
                assert [] == await self.rows(sink)
                assert why.row is None or (self.table, 1) == (why.table, why.row)
                await sink.write(batch.reject({1: why}))
            else:
                assert {1} == set((receipt or Receipt()).rejected)
            assert [self.row(0), self.row(2)] == await self.rows(sink)

    @fact
    async def test_durable_when_write_returns(self, tmp_path: Path) -> None:
        """After each write its rows are there at once: not when the next one comes, and not at `close`."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            for first in (0, 2, 4):
                await sink.write(self.batch(2, first=first))
                assert self.expected(self.batch(first + 2)) == await self.rows(sink)

    @fact
    async def test_a_big_batch(self, tmp_path: Path) -> None:
        """Of hundreds of messages with several rows each, every row is there, in order."""
        batch = self.batch(300, 4)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(batch)
            assert self.expected(batch) == await self.rows(sink)

    @fact
    async def test_extreme_values(self, tmp_path: Path) -> None:
        """A row of extreme values (None, NUL, other scripts, numbers too big) is stored as it is, or rejected; never bent."""
        batch, expected = self.batch(1, first=FAR), list[Row]()
        async with self.opened(tmp_path) as sink:
            await self.ready(sink, batch)
            for row in extremes_of(self.row, FAR):
                one = self.with_rows(self.batch(1, first=FAR + len(expected)), [row])
                with suppress(Reject):
                    receipt = await sink.write(one)
                    expected += [] if receipt and receipt.rejected else [self.kept(row)]
            found = await self.rows(sink)
        assert [] == [row for row in expected if not any(alike(row, other) for other in found)]
        assert len(expected) == len(found)

    @fact
    async def test_lanes(self, tmp_path: Path) -> None:
        """Two of a kind work side by side, each on its partition, and one that is closed takes nothing from the other."""
        left, right = (self.batch(3, first=3 * n, partition=Partition("lane", n)) for n in (0, 1))
        async with self.opened(tmp_path) as sink:
            await self.ready(sink, left)
            async with self.opened(tmp_path) as other:
                await self.ready(other, right)
                await asyncio.gather(sink.write(left), other.write(right))
            last = self.batch(3, first=6, partition=Partition("lane", 2))
            await self.ready(sink, last)
            await sink.write(last)
            assert sorted(self.expected(self.batch(9))) == sorted(await self.rows(sink))
