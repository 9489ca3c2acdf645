"""The sink `postgres`, as specs and the runtime know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stockifyd.api import Batch, Drift, LedgerSink, Message, Partition, Receipt, Span, Tables
from stockifyd_postgres.options import PostgresOptions

if TYPE_CHECKING:  # imported when the sink works: `stockifyd validate` imports this module, and twenty more take their time
    from stockifyd_postgres.store import Store


class Postgres(LedgerSink[PostgresOptions]):
    """Writes tables into PostgreSQL or TimescaleDB by COPY, exactly once: the offsets are kept with the rows.

    Works through PgBouncer in transaction pooling. Makes no tables: `stockifyd migrate SPEC` does.
    """

    type = "postgres"

    @cached_property
    def store(self) -> Store:
        """Where the work is done."""
        from stockifyd_postgres.store import Store  # noqa: PLC0415  see above

        return Store(self.config, self.context, self.sent)

    def wants(self) -> Tables:
        return {name: table.columns for name, table in self.config.tables.items()}

    @classmethod
    def into(cls, config: PostgresOptions, schema: str) -> PostgresOptions:
        """Tables of the same names in that schema of the same database."""
        tables = {name: replace(table, into=f"{schema}.{table.target[1]}") for name, table in config.tables.items()}
        if same := [table.into for name, table in tables.items() if table.target == config.tables[name].target]:
            raise Drift(f"{same[0]!r} is where the pipeline writes already", hint="name another schema")
        return replace(config, tables=tables)

    async def open(self) -> None:
        await self.store.open()

    async def probe(self) -> Sequence[str]:
        return await self.store.probe()

    async def close(self) -> None:
        await self.store.close()

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return await self.store.stored(partitions)

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        return await self.store.claim(starts)

    async def recognise(self, messages: Sequence[Message]) -> None:
        await self.store.recognise(messages)

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        await self.store.skip(partition, span, reason)

    async def prepare(self, batch: Batch) -> None:
        await self.store.prepare(batch)

    async def write(self, batch: Batch) -> Receipt:
        return await self.store.write(batch)
