"""The query of a lookup: the looked-up table as the catalogue shows it, and the SQL for the keys of a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stockifyd.api import Drift, Row
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.lookup_options import LookupOptions
from stockifyd_postgres.names import guess, listed, qualified, quote
from stockifyd_postgres.values import JUDGES

TIME = "timestamp with time zone"
SHAPE = """SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type, c.oid::bigint AS oid
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'm') AND a.attnum > 0 AND NOT a.attisdropped
AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY a.attnum"""
UNIQUE = """SELECT array_agg(a.attname::text ORDER BY k.at) AS columns
FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(number, at)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = $1::bigint::oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
AND k.at <= i.indnkeyatts GROUP BY i.indexrelid"""

PORTION = 2500
"""Keys of one query: encoding them, and what it finds, must not hold the event loop for long."""

Key = tuple[Any, ...]
"""The values of a row's `match` columns; under `as_of`, then the span of time: later than the first, not later than the last."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The SQL for many keys at once: rows of a key's number, from 1, and the columns found."""

    sql: str
    kinds: tuple[str, ...]
    """The types of the `match` columns."""
    by_time: bool

    async def answers(self, transaction: Transaction, keys: Sequence[Key]) -> dict[Key, Row]:
        """What is found, by key; keys that match nothing are not in it. All of it is of the transaction's one snapshot."""
        found: dict[Key, Row] = {}
        for start in range(0, len(keys), PORTION):
            part = keys[start : start + PORTION]
            rows = await transaction.fetch(self.sql, *self._arguments(part))
            found.update((part[row[0] - 1], tuple(row)[1:]) for row in rows)
            await asyncio.sleep(0)
        return found

    def _arguments(self, keys: Sequence[Key]) -> list[Any]:
        arrays: list[Any] = [list(values) for values in zip(*keys, strict=True)]
        for place, kind in enumerate(self.kinds):
            if kind == "numeric":  # a float as the decimal it is written as
                arrays[place] = [Decimal(repr(v)) if isinstance(v, float) else Decimal(v) for v in arrays[place]]
        return [*arrays, min(arrays[-2]), max(arrays[-1])] if self.by_time else arrays


async def inquire(transaction: Transaction, options: LookupOptions) -> Inquiry:
    """The query that the options mean, of the table that is there. Drift where it cannot be asked."""
    rows = await transaction.fetch(SHAPE, *options.target)
    if not rows:
        raise Drift(f"from: there is no table {options.source!r}, or no right to read it", hint="correct `from`, or grant SELECT")
    types = {row["name"]: row["type"] for row in rows}
    unique = [set(row["columns"]) for row in await transaction.fetch(UNIQUE, rows[0]["oid"])]
    return inquiry(options, types, unique)


def inquiry(options: LookupOptions, types: Mapping[str, str], unique: Sequence[set[str]]) -> Inquiry:
    """The query, given the table's columns with their types, and its unique keys."""
    if faults := list(_faults(options, types, unique)):
        raise Drift("; ".join(faults), hint="correct the spec, or the table")
    theirs = tuple(options.match.values())
    return Inquiry(_sql(options, types), tuple(types[name] for name in theirs), options.as_of is not None)


def _faults(options: LookupOptions, types: Mapping[str, str], unique: Sequence[set[str]]) -> Iterator[str]:
    as_of = options.as_of
    named = {"match": [*options.match.values()], "columns": [*options.columns], "as_of.column": [as_of.column] if as_of else []}
    absent = [(option, name) for option, names in named.items() for name in names if name not in types]
    for option, name in absent:
        yield f"{option}: {options.source!r} has no column {name!r} that may be read{guess(name, types)}"
    if absent:
        return
    for name in options.match.values():
        if types[name] not in JUDGES:
            yield f"match: {name!r} of {options.source!r} is of type {types[name]}; it must be one of {', '.join(sorted(JUDGES))}"
    if as_of and types[as_of.column] != TIME:
        yield f"as_of.column: {as_of.column!r} of {options.source!r} is of type {types[as_of.column]}; it must be {TIME}"
    wanted = {*options.match.values(), *([as_of.column] if as_of else [])}
    if not any(columns <= wanted for columns in unique):
        there = "; ".join(sorted(listed(sorted(columns)) for columns in unique)) or "none"
        yield f"match: several rows of {options.source!r} may match; match all columns of a unique key (there are: {there})"


def _sql(options: LookupOptions, types: Mapping[str, str]) -> str:
    theirs = tuple(options.match.values())
    wanted = ", ".join(f"t.{quote(name)}" for name in options.columns)
    names = [f"k{n}" for n in range(1, len(theirs) + 1)]
    arrays = [f"${n}::{types[name]}[]" for n, name in enumerate(theirs, start=1)]
    equal = " AND ".join(f"t.{quote(name)} = k.{key}" for name, key in zip(theirs, names, strict=True))
    table = f"{qualified(options.target)} AS t"
    if options.as_of is None:
        keys = f"unnest({', '.join(arrays)}) WITH ORDINALITY AS k({', '.join(names)}, n)"
        return f"SELECT k.n, {wanted} FROM {keys} JOIN {table} ON {equal}"  # noqa: S608  names are quoted, types are the catalogue's
    time, after = f"t.{quote(options.as_of.column)}", len(theirs) + 1
    arrays += [f"${after}::timestamptz[]", f"${after + 1}::timestamptz[]"]
    keys = f"unnest({', '.join(arrays)}) WITH ORDINALITY AS k({', '.join(names)}, low, high, n)"
    # The outer bounds are known when it is planned: of a year of partitions, those of the batch's own days are looked at.
    bounds = f"{time} > k.low AND {time} <= k.high AND {time} > ${after + 2} AND {time} <= ${after + 3}"
    newest = f"SELECT {wanted} FROM {table} WHERE {equal} AND {bounds} ORDER BY {time} DESC LIMIT 1"  # noqa: S608  as above
    return f"SELECT k.n, f.* FROM {keys} CROSS JOIN LATERAL ({newest}) AS f"  # noqa: S608  as above
