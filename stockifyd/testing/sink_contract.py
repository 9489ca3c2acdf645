"""What holds of every sink: the facts that a pipeline builds on when it calls `write`."""
# ruff: noqa: PT017, SIM300  # what is expected stands first in an assert

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from stockifyd.api import Batch, LedgerSink, Receipt, Reject, Retry, Row, Sink, StockifydError, Table, Tables, Unavailable
from stockifyd.testing.component_contract import ComponentContract
from stockifyd.testing.facts import fact, settle
from stockifyd.testing.making import COLUMNS, TABLE, make_batch, make_row

S = TypeVar("S", bound=Sink[Any])

CANCEL_AFTER_MS = (0, 1, 2, 5, 10, 20)


class SinkContract(ComponentContract[S]):
    """Subclass it: `sink = Csv`, `options(tmp_path)`, `stored(sink)`; the rest has defaults.

    The facts write rows `(number, text)` into the table `options`. A sink that needs other columns overrides `table`,
    `columns` and `row`. For a LedgerSink take LedgerContract.
    """

    sink: type[S]
    table: ClassVar[str] = TABLE
    columns: ClassVar[Sequence[str]] = COLUMNS

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        sink = getattr(cls, "sink", None)
        if isinstance(sink, type) and issubclass(sink, LedgerSink) and not hasattr(cls, "dead_letters"):
            raise TypeError(f"{cls.__name__}: {sink.__name__} keeps a ledger\nHINT: take LedgerContract[{sink.__name__}].")

    def stored(self, sink: S) -> Sequence[Row] | Awaitable[Sequence[Row]]:
        """All rows that are durable now, in order, as `row` makes them; the sink may be open or closed."""
        raise NotImplementedError

    def row(self, number: int) -> Row:
        """The row that goes in at this place, in the order of `columns`."""
        return make_row(number)

    def bad_row(self) -> Row | None:
        """A row that the far side can never take. Optional: its facts are skipped."""
        return None

    def kind(self) -> type[S]:
        return self.sink

    def tables(self) -> Tables | None:
        return {self.table: tuple(self.columns)}

    def batch(self, count: int = 3, rows_each: int = 1, *, first: int = 0) -> Batch:
        """Messages from offset `first`, each with its rows."""
        made = make_batch(count, rows_each, first=first, table=self.table)
        numbers = range(first * rows_each, (first + count) * rows_each)
        rows = [self.row(number) for number in numbers]
        return made.with_table(self.table, Table(tuple(self.columns), rows, made.tables[self.table].ends))

    async def ready(self, sink: S) -> None:
        """What comes between `open` and the first `write`: for a ledger, a claim."""

    async def rows(self, sink: S) -> list[Row]:
        """The stored rows."""
        return [tuple(row) for row in await settle(self.stored(sink))]

    @fact
    async def test_the_whole_batch_is_accounted_for(self, tmp_path: Path) -> None:
        """Each row is stored, or its message is named in the receipt."""
        batch = self.batch(5, 2)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            receipt = await sink.write(batch) or Receipt()
            kept = batch.reject(receipt.rejected).tables[self.table].rows
            assert kept == await self.rows(sink)

    @fact
    async def test_what_is_written_stays(self, tmp_path: Path) -> None:
        """Rows are there when the sink is closed and another one is opened."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(self.batch(3))
        async with self.opened(tmp_path) as another:
            assert self.batch(3).tables[self.table].rows == await self.rows(another)

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
            assert batch.tables[self.table].rows == await self.rows(sink)

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
        batch = self.with_bad(self.batch(3), bad)
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
    async def test_cancelled_while_writing(self, tmp_path: Path) -> None:
        """A cancelled write ends, and the same messages can be written again by the next owner: nothing is lost."""
        for number, after_ms in enumerate(CANCEL_AFTER_MS):
            batch = self.batch(3, first=3 * number)
            await self._cancel(tmp_path, batch, after_ms)
            async with self.opened(tmp_path) as another:
                await self.ready(another)
                with suppress(StockifydError):  # a ledger where the first write was committed after all
                    await another.write(batch)
                rows = [row for row in await self.rows(another) if row in batch.tables[self.table].rows]
                self.check_repeated(batch, rows)

    @fact
    async def test_a_far_side_that_breaks_while_open(self, tmp_path: Path) -> None:
        """`write` says so by one of the five errors, and works again, on the same object, when the far side is back."""
        batch = self.batch(3)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await settle(self.break_it(sink))
            try:
                with suppress(Retry, Unavailable):
                    await sink.write(batch)
            except StockifydError:
                return  # Drift, Reject, Fenced: the runtime does not simply write again
            finally:
                await settle(self.mend_it(sink))
            with suppress(StockifydError):  # a ledger where the first one was committed, or lazily lost
                await sink.write(batch)
            self.check_repeated(batch, await self.rows(sink))

    def check_repeated(self, batch: Batch, rows: Sequence[Row]) -> None:
        """What may be stored of a batch that was written more than once."""
        expected = batch.tables[self.table].rows
        exact = self.sink.idempotent or issubclass(self.sink, LedgerSink)
        assert all(row in rows for row in expected), f"lost: {[row for row in expected if row not in rows]}"
        assert not exact or len(expected) == len(rows), f"doubled: {rows}"

    def with_bad(self, batch: Batch, bad: Row) -> Batch:
        """The batch with a bad row in the place of its second."""
        table = batch.tables[self.table]
        return batch.with_table(self.table, Table(table.columns, [table.rows[0], bad, *table.rows[2:]], table.ends))

    async def _cancel(self, tmp_path: Path, batch: Batch, after_ms: int) -> None:
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            writing = asyncio.ensure_future(sink.write(batch))
            await asyncio.wait([writing], timeout=after_ms / 1000)
            writing.cancel()
            with suppress(asyncio.CancelledError, StockifydError):
                await writing
