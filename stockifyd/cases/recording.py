"""What stands in for a sink: keeps what the sink would get, and says what it wants in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from stockifyd.api import Batch, Sink, Table
from stockifyd.spec.findings import did_you_mean, quoted


@dataclass(frozen=True, slots=True)
class Missing:
    """A table or a column that a sink wants and that did not arrive."""

    fact: str
    hint: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The batch as a sink would take it: the tables and columns that its options name, or all where they name none."""

    batch: Batch
    missing: tuple[Missing, ...] = ()


def record(sink: Sink[Any], batch: Batch) -> Taken:
    """What the sink would take of a batch. The sink itself is not opened and writes nothing."""
    wants, there = sink.wants(), batch.tables
    if not wants:
        return Taken(batch)
    tables = {name: _picked(there[name], columns) for name, columns in wants.items() if name in there}
    missing = [(f"table {quoted(name)}", did_you_mean(name, there) or "none arrives") for name in wants if name not in there]
    for name, table in tables.items():
        lacks = [column for column in wants[name] if column not in table.columns]
        missing += [(f"column {quoted(c)} of table {quoted(name)}", did_you_mean(c, there[name].columns)) for c in lacks]
    name = quoted(sink.context.name)
    facts = (Missing(f"sink {name} wants {what}, which did not arrive", hint) for what, hint in missing)
    return Taken(replace(batch, tables=tables), tuple(facts))


def _picked(table: Table, columns: Sequence[str]) -> Table:
    there = [column for column in columns if column in table.columns]
    return table.select(there) if columns and there != list(table.columns) else table
