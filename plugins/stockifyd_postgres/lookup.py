"""The transform `lookup`, as specs and the runtime know it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from stockifyd.api import Batch, Context, Drift, Partition, Reject, Row, Table, Tables, Transform
from stockifyd_postgres.lookup_options import LookupOptions
from stockifyd_postgres.names import guess

if TYPE_CHECKING:  # imported when it works: `stockifyd validate` imports this module, and twenty more take their time
    from stockifyd_postgres.connection import Transaction
    from stockifyd_postgres.inquiry import Inquiry, Key
    from stockifyd_postgres.keys import Keys
    from stockifyd_postgres.remembered import Remembered
    from stockifyd_postgres.replicas import Replicas

T = TypeVar("T")

STORED_SECS = 2.0
"""How long rows of `after` are waited for in silence: the other pipeline reads the same messages at this moment."""
FIRST_PAUSE_SECS, LONGEST_PAUSE_SECS = 0.01, 0.2
SLICE = 2_000
"""Rows that are put together before the event loop has its turn."""


class Lookup(Transform[LookupOptions]):
    """Adds to the rows of a table what another table, in PostgreSQL, says of them: by a key, or as it was at a time.

    Reads replicas, the first that is not too far behind; one query for a batch.
    """

    type = "lookup"

    def __init__(self, config: LookupOptions, context: Context) -> None:
        super().__init__(config, context)
        self._replicas: Replicas | None = None
        self._remembered: Remembered | None = None
        self._inquiry: Inquiry | None = None

    async def open(self) -> None:
        """Connect, and look at the table. Unavailable where no server is fit to be read, Drift where the table is another."""
        from stockifyd_postgres.remembered import Remembered  # noqa: PLC0415  see above

        await self.close()
        self._remembered = Remembered(self.config.cache_max_rows, self.config.cache_secs)
        self._replicas = self._servers()
        await self._replicas.open()

    async def close(self) -> None:
        """Let go of the connections."""
        replicas, self._replicas = self._replicas, None
        if replicas is not None:
            await replicas.close()

    async def probe(self) -> list[str]:
        """Each server that is not fit to be read, and why."""
        replicas = self._servers()
        try:
            return await replicas.findings()
        finally:
            await replicas.close()

    def tables(self, before: Tables) -> Tables:
        """Those that come in, with the columns found; ValueError where the table, or a column of it, does not arrive."""
        if self.config.table not in before:
            raise ValueError(f"table: no table {self.config.table!r} arrives here{guess(self.config.table, before)}")
        columns = tuple(before[self.config.table])
        if self.config.into is not None and self.config.into in before:
            raise ValueError(f"into: a table {self.config.into!r} arrives already")
        if not columns:  # nobody knows them yet
            return before if self.config.into is None else {**before, self.config.into: self._columns(columns)}
        if fault := self._fault(columns):
            raise ValueError(fault)
        return {**before, self.config.into or self.config.table: self._columns(columns)}

    async def apply(self, batch: Batch) -> Batch:
        """Look up all rows of the batch at once. Unavailable and Retry as the servers are; Drift where the table does not fit."""
        table = self._arrived(batch)
        if self._replicas is None or self._inquiry is None:
            raise Drift("the lookup is not open", hint="open it first")
        keys = await self._keys(table, self._inquiry)
        found = await self._found(self._replicas, keys, batch)
        made = await self._made(table, keys, found)
        refused: dict[int, str | Reject] = {**self._missed(table, keys, found), **keys.refused}
        return batch.with_table(self.config.into or self.config.table, made).reject(refused)

    def _servers(self) -> Replicas:
        from stockifyd_postgres.replicas import Replicas  # noqa: PLC0415  see above

        name = f"stockifyd {self.context.pipeline}/{self.context.name}"
        return Replicas(self.config, self.context.log, application=name, examine=self._examine)

    async def _examine(self, transaction: Transaction) -> None:
        from stockifyd_postgres.inquiry import inquire  # noqa: PLC0415  see above
        from stockifyd_postgres.token import readable  # noqa: PLC0415

        if self.config.after is not None:
            await readable(transaction)
        self._inquiry = await inquire(transaction, self.config)

    def _arrived(self, batch: Batch) -> Table:
        name = self.config.table
        if name not in batch.tables:
            raise Drift(f"no table {name!r} arrives here{guess(name, batch.tables)}", hint="a transform before must make it")
        if fault := self._fault(batch.tables[name].columns):
            raise Drift(fault, hint="correct the spec")
        return batch.tables[name]

    def _fault(self, columns: tuple[str, ...]) -> str:
        """What does not fit between the options and the columns that arrive."""
        as_of = self.config.as_of
        named = {"match": [*self.config.match], "as_of.time": [as_of.time] if as_of else []}
        for option, names in named.items():
            for name in names:
                if name not in columns:
                    return f"{option}: table {self.config.table!r} has no column {name!r}{guess(name, columns)}"
        there = (*self.config.match,) if self.config.into is not None else columns
        if twice := [name for name in self.config.found if name in there]:
            return f"columns: there is a column {twice[0]!r} already; set `prefix`"
        return ""

    def _columns(self, before: tuple[str, ...]) -> tuple[str, ...]:
        if self.config.into is not None:
            return (*self.config.match, *self.config.found)
        return (*before, *self.config.found) if before else ()

    async def _keys(self, table: Table, inquiry: Inquiry) -> Keys:
        from stockifyd_postgres.keys import Keys, keys_of  # noqa: PLC0415  see above

        keys = Keys([])
        for start in range(0, len(table.rows), SLICE):
            rows = range(start, min(start + SLICE, len(table.rows)))
            keys.add(keys_of(table, self.config, inquiry.kinds, rows))
            await asyncio.sleep(0)
        return keys

    async def _found(self, replicas: Replicas, keys: Keys, batch: Batch) -> Mapping[Key, Row]:
        """The rows of all keys, remembered or asked for."""
        wanted, remembered = keys.distinct(), self._remembered
        known = remembered.known(wanted) if remembered is not None else {}
        missing = [key for key in wanted if key not in known] if known else wanted
        if not missing:
            return known
        await asyncio.sleep(0)

        async def ask(transaction: Transaction) -> dict[Key, Row]:
            if self.config.after is not None:
                from stockifyd_postgres.token import reached  # noqa: PLC0415  see above

                await reached(transaction, self.config.after, self._needed(batch))
            assert self._inquiry is not None
            return await self._inquiry.answers(transaction, missing)

        answers = await self._patiently(replicas, ask)
        if remembered is not None:
            remembered.remember(answers)
        return {**known, **answers} if known else answers

    async def _patiently(self, replicas: Replicas, ask: Callable[[Transaction], Awaitable[T]]) -> T:
        from stockifyd_postgres.token import NotStored  # noqa: PLC0415  see above

        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_SECS
        until = loop.time() + STORED_SECS
        while True:
            try:
                return await replicas.read(ask)
            except NotStored:
                if loop.time() + pause > until:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECS)

    def _needed(self, batch: Batch) -> dict[Partition, int]:
        """How far the rows of `after` must be stored: up to our last message, or, where they are our own, up to this batch."""
        ours = self.config.after is not None and self.config.after.consumer == self.context.consumer
        needed: dict[Partition, int] = {}
        for partition, offset in (message.position for message in batch.messages):
            if not (ours and partition in needed):
                needed[partition] = offset
        return needed

    async def _made(self, table: Table, keys: Keys, found: Mapping[Key, Row]) -> Table:
        rows: list[Row] = []
        for start in range(0, len(table.rows), SLICE):
            rows += self._rows(table, keys, found, start=start)
            await asyncio.sleep(0)
        return Table(self._columns(table.columns), rows, table.ends)

    def _rows(self, table: Table, keys: Keys, found: Mapping[Key, Row], *, start: int) -> Iterator[Row]:
        nulls = (None,) * len(self.config.columns)
        part = table.rows[start : start + SLICE]
        if self.config.into is not None:
            places = [table.columns.index(name) for name in self.config.match]
            part = [tuple(row[place] for place in places) for row in part]
        for row, key in zip(part, keys.of_rows[start : start + SLICE], strict=True):
            yield row + (nulls if key is None else found.get(key, nulls))

    def _missed(self, table: Table, keys: Keys, found: Mapping[Key, Row]) -> dict[int, str]:
        """The messages with a row that nothing was found for, where they are to be refused."""
        if self.config.on_miss == "keep":
            return {}
        shown = ", ".join(self.config.match)
        why = f"no row of {self.config.source!r} matches its {shown}"
        return {table.message_of(row): why for row, key in enumerate(keys.of_rows) if key is None or key not in found}
