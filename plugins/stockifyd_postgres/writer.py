"""Loads into tables inside a transaction: straight COPY, or the staged way for tables that met a conflict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stockifyd.api import Receipt
from stockifyd_postgres import wire
from stockifyd_postgres.conflict import STAGED_BATCHES, merge
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.loads import Load


class Writer:
    """Knows which tables are staged, and for how many batches more. `sent` is called when the last of them is on its way."""

    def __init__(self, sent: Callable[[], None]) -> None:
        self._sent = sent
        self._staged: dict[str, int] = {}

    def staged(self, table: str) -> bool:
        return self._staged.get(table, 0) > 0

    def stage(self, table: str) -> None:
        """This batch and the next hundred go the staged way."""
        self._staged[table] = STAGED_BATCHES + 1

    def succeeded(self, loads: Sequence[Load]) -> None:
        """A batch is durable: one less to stage."""
        for load in loads:
            if self.staged(load.name):
                self._staged[load.name] -= 1

    async def write(self, transaction: Transaction, loads: Sequence[Load]) -> Receipt:
        """Write every load; rows that a conflict kept out count as duplicates."""
        rows = duplicates = 0
        loads = await wire.settled(transaction, loads)
        for load in loads:
            transaction.table, transaction.first_row = load.name, 0
            transaction.on_sent = self._sent if load is loads[-1] else None
            took = await self._write(transaction, load)
            rows, duplicates = rows + took, duplicates + len(load.rows) - took
        transaction.table = ""
        return Receipt(rows=rows, duplicates=duplicates)

    async def _write(self, transaction: Transaction, load: Load) -> int:
        if self.staged(load.name):
            return await merge(transaction, load)
        await wire.copy(transaction, load.target.name, load)
        return len(load.rows)
