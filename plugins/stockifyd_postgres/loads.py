"""A batch as loads: each configured table with its target, its columns and its rows, checked before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from stockifyd.api import Batch, Drift, Row
from stockifyd_postgres import encoding, values
from stockifyd_postgres.catalogue import CURE, Target, mismatches
from stockifyd_postgres.names import guess
from stockifyd_postgres.options import PostgresOptions, TableOptions


@dataclass(frozen=True, slots=True)
class Load:
    """Rows on their way into one table."""

    name: str
    target: Target
    options: TableOptions
    columns: tuple[str, ...]
    rows: list[Row]
    encoded: list[bytes] | None = None
    """The rows as COPY takes them, in blocks; None where asyncpg is to encode them."""

    @property
    def types(self) -> Mapping[str, str]:
        """The types of all columns of the target."""
        return {name: column.type for name, column in self.target.columns.items()}


class Loader:
    """Makes loads of batches. Knows which columns it has compared with the catalogue."""

    def __init__(self, options: PostgresOptions, targets: Mapping[str, Target]) -> None:
        self.options, self.targets = options, targets
        self._seen: dict[str, tuple[str, ...]] = {}

    async def loads(self, batch: Batch) -> list[Load]:
        """The loads of a batch; Drift where its tables do not fit, Reject where a value does not. Lets the event loop run."""
        if not batch.messages:
            return []
        self._check_shape(batch)
        return [await _checked(load) for load in self._made(batch)]

    def _made(self, batch: Batch) -> Iterator[Load]:
        for name, options in self.options.tables.items():
            table = batch.tables[name]
            if options.columns and options.columns != table.columns:
                table = table.select(options.columns)
            if table.rows:
                yield Load(name, self.targets[name], options, table.columns, table.rows)

    def _check_shape(self, batch: Batch) -> None:
        findings: list[str] = []
        for name, options in self.options.tables.items():
            if (table := batch.tables.get(name)) is None:
                findings.append(f"tables.{name}: no such table arrives{guess(name, batch.tables)}")
            elif self._seen.get(name) != table.columns:
                findings += [f"tables.{name}: {text}" for text in mismatches(self.targets[name], options, table.columns)]
        if findings:
            raise Drift("; ".join(findings), hint=CURE)
        self._seen = {name: batch.tables[name].columns for name in self.options.tables}


async def _checked(load: Load) -> Load:
    """The load, encoded or else checked: what can be encoded is right."""
    types = load.types
    encoded = await _encoded([types[name] for name in load.columns], load.rows)
    if encoded is not None:
        return replace(load, encoded=encoded)
    values.check(load.name, load.columns, types, load.rows)
    return replace(load, rows=values.decimals(load.columns, types, load.rows))


async def _encoded(types: Sequence[str], rows: list[Row]) -> list[bytes] | None:
    """As `encoding.encode`, a block between two turns of the event loop: another batch is being sent meanwhile."""
    blocks: list[bytes] = []
    for start in range(0, len(rows), encoding.BLOCK_ROWS):
        block = encoding.encode(types, rows[start : start + encoding.BLOCK_ROWS])
        if block is None:
            return None
        blocks += block
        await asyncio.sleep(0)
    return blocks
