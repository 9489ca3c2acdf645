"""What an author of a sink tells the contract, and what the facts of sinks have in common."""
# hooks with arguments that defaults ignore

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, ClassVar, TypeVar

from stockifyd.api import Batch, LedgerSink, Partition, Row, Sink, Table, Tables
from stockifyd.testing import faults
from stockifyd.testing.contracts.component import ComponentContract
from stockifyd.testing.facts import settle
from stockifyd.testing.making import COLUMNS, PARTITION, TABLE, make_batch, make_row

S = TypeVar("S", bound=Sink[Any])


class SinkHooks(ComponentContract[S]):
    """The hooks of SinkContract."""

    sink: type[S]
    table: ClassVar[str] = TABLE
    columns: ClassVar[Sequence[str]] = COLUMNS

    def stored(self, sink: S) -> Sequence[Row] | Awaitable[Sequence[Row]]:
        """All rows that are durable now, in order, as `row` makes them; the sink may be open or closed."""
        raise NotImplementedError

    def row(self, number: int) -> Row:
        """The row that goes in at this place, in the order of `columns`; no two numbers have the same row."""
        return make_row(number)

    def bad_row(self) -> Row | None:
        """A row that the far side can never take. Optional: its facts are skipped."""
        return None

    def kept(self, row: Row) -> Row:
        """What the far side keeps of a row it takes: by default the row as it is (a CSV file has '' for None)."""
        return row

    def kind(self) -> type[S]:
        return self.sink

    def tables(self) -> Tables | None:
        return {self.table: tuple(self.columns)}

    def batch(self, count: int = 3, rows_each: int = 1, *, first: int = 0, partition: Partition = PARTITION) -> Batch:
        """Messages from offset `first`, each with its rows."""
        made = make_batch(count, rows_each, first=first, partition=partition, table=self.table)
        rows = [self.row(number) for number in range(first * rows_each, (first + count) * rows_each)]
        return self.with_rows(made, rows)

    def with_rows(self, batch: Batch, rows: Sequence[Row]) -> Batch:
        """The batch with other rows in its table, as many as before."""
        return batch.with_table(self.table, Table(tuple(self.columns), list(rows), batch.tables[self.table].ends))

    async def ready(self, sink: S, batch: Batch | None = None) -> None:
        """What comes between `open` and the first `write`: for a ledger, a claim of what the batch advances."""

    async def rows(self, sink: S) -> list[Row]:
        """The stored rows."""
        return [tuple(row) for row in await settle(self.stored(sink))]

    async def use(self, component: S) -> None:
        await self.ready(component)
        await component.write(self.batch(3))

    @property
    def is_exact(self) -> bool:
        """Whether the sink promises that a batch which comes again is there once."""
        return self.sink.idempotent or issubclass(self.sink, LedgerSink)

    def expected(self, batch: Batch) -> list[Row]:
        """What is stored of a batch."""
        return [self.kept(row) for row in batch.tables[self.table].rows]

    def check_repeated(self, batch: Batch, rows: Sequence[Row]) -> None:
        """What may be stored of a batch that was written more than once."""
        assert faults.compare(self.expected(batch), rows, exactly=self.is_exact) == []
