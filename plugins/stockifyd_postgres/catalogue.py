"""The live catalogue against the spec: tables, columns, keys and rights, every mismatch at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stockifyd.api import Drift, Tables
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.names import guess
from stockifyd_postgres.options import PostgresOptions, TableOptions

if TYPE_CHECKING:  # imported where it is needed: `stockifyd validate` imports this module
    import asyncpg

Name = tuple[str, str]
CURE = "run `stockifyd migrate SPEC`, which makes what ships with stockifyd and grants what the sink needs; else correct the spec"
RELATIONS = """SELECT n.nspname, c.relname, c.oid::bigint AS oid, c.relkind::text AS kind, p.partstrat::text AS strategy,
  (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND p.partnatts = 1 AND attnum = p.partattrs[0]) AS part_column,
  has_table_privilege(c.oid, 'INSERT') AS may_insert, has_table_privilege(c.oid, 'SELECT') AS may_select,
  has_table_privilege(c.oid, 'UPDATE') AS may_update, has_schema_privilege(n.oid, 'USAGE') AS may_enter,
  row_security_active(c.oid) AS row_security
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))"""
COLUMNS = """SELECT attrelid::bigint AS oid, attname, format_type(atttypid, NULL) AS type, attnotnull AS needed,
  atthasdef OR attidentity <> '' AS filled, attgenerated <> '' OR attidentity = 'a' AS generated
FROM pg_attribute WHERE attrelid = ANY($1::bigint[]::oid[]) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum"""
KEYS = """SELECT i.indrelid::bigint AS oid, i.indisprimary AS main, array_agg(a.attname::text ORDER BY k.at) AS columns
FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(number, at)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = ANY($1::bigint[]::oid[]) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
AND k.at <= i.indnkeyatts GROUP BY i.indexrelid, i.indrelid, i.indisprimary ORDER BY i.indisprimary DESC, i.indexrelid"""
NAMES = """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'stockifyd')"""
OWN = {
    "offsets": "SELECT, INSERT, UPDATE",
    "ledgers": "SELECT, INSERT",
    "gaps": "SELECT, INSERT",
    "dead_letters": "SELECT, INSERT",
}
OWN_RIGHTS = """SELECT t.name, to_regclass('stockifyd.' || t.name) IS NOT NULL AS there, r.needed
FROM unnest($1::text[], $2::text[]) AS t(name, rights) CROSS JOIN unnest(string_to_array(t.rights, ', ')) AS r(needed)
WHERE CASE WHEN to_regclass('stockifyd.' || t.name) IS NULL THEN true
           ELSE NOT has_table_privilege(to_regclass('stockifyd.' || t.name)::oid, r.needed) END"""
SCHEMA = """SELECT count(*) > 0, coalesce(bool_or(has_schema_privilege(oid, 'USAGE')), false)
FROM pg_namespace WHERE nspname = 'stockifyd'"""
HYPERTABLES = """SELECT hypertable_schema::text, hypertable_name::text, column_name::text FROM timescaledb_information.dimensions
WHERE dimension_number = 1 AND dimension_type = 'Time'"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a target table."""

    name: str
    type: str
    needed: bool
    """NOT NULL without a default: every row must bring it."""
    generated: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A table that rows go into, as the catalogue shows it. Equal shapes: nothing changed."""

    name: Name
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    time_column: str = ""
    """The column by which it is partitioned, where that is a time."""
    by_day: bool = False
    """Whether we make its partitions."""


@dataclass(slots=True)
class Look:
    """What one look at the catalogue found: targets by the batch's table name, and what does not fit."""

    targets: dict[str, Target] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def demand(self) -> dict[str, Target]:
        """The targets; Drift with every finding if there is one."""
        if self.findings:
            raise Drift("; ".join(self.findings), hint=CURE)
        return self.targets


async def look(transaction: Transaction, options: PostgresOptions, arriving: Tables | None) -> Look:
    """Compare the spec with the catalogue. `arriving` are the batch's tables with their columns, where they are known."""
    found = Look(findings=await _own_findings(transaction))
    wanted = [table.target for table in options.tables.values()]
    rows = await transaction.fetch(RELATIONS, [schema for schema, _ in wanted], [name for _, name in wanted])
    relations = {(r["nspname"], r["relname"]): r for r in rows}
    oids = [r["oid"] for r in rows]
    columns, keys = await _columns(transaction, oids), await _keys(transaction, oids)
    by_day = set() if found.findings else await _day_tables(transaction)
    times = await _time_columns(transaction)
    for name, table in options.tables.items():
        if (relation := relations.get(table.target)) is None:
            found.findings.append(f"tables.{name}: there is no table {table.into!r}{await _guess_table(transaction, table)}")
            continue
        shape, key = columns[relation["oid"]], _key(table, keys.get(relation["oid"], []))
        time_column = times.get(table.target) or _part_column(relation, shape)
        target = Target(table.target, shape, key, time_column, table.target in by_day)
        found.targets[name] = target
        found.findings += [f"tables.{name}: {text}" for text in _rights(relation, table)]
        found.findings += [f"tables.{name}: {text}" for text in _shape(target, table, arriving.get(name) if arriving else None)]
    staged = any(table.on_conflict != "error" for table in options.tables.values())
    if staged and not await transaction.value("SELECT has_database_privilege(current_database(), 'TEMP')"):
        found.findings.append("the role may not make temporary tables, which on_conflict needs")
    return found


def _part_column(relation: asyncpg.Record, shape: Mapping[str, Column]) -> str:
    """The column of a table partitioned by ranges of time."""
    name: str = relation["part_column"] or ""
    return name if relation["strategy"] == "r" and name and shape[name].type.startswith(("timestamp", "date")) else ""


async def _guess_table(transaction: Transaction, table: TableOptions) -> str:
    known = [row[0] for row in await transaction.fetch(NAMES)]
    return guess(table.into, [name.removeprefix("public.") for name in known])


def mismatches(target: Target, table: TableOptions, arriving: Sequence[str]) -> list[str]:
    """What does not fit between a table of a batch and its target."""
    return list(_shape(target, table, arriving))


def _shape(target: Target, table: TableOptions, arriving: Sequence[str] | None) -> Iterator[str]:
    columns = table.columns or arriving or ()
    for name in columns:
        if name not in target.columns:
            yield f"{table.into!r} has no column {name!r}{guess(name, target.columns)}"
        elif target.columns[name].generated:
            yield f"column {name!r} of {table.into!r} is generated: it cannot be written"
    if arriving is not None:
        yield from (f"column {name!r} does not arrive{guess(name, arriving)}" for name in table.columns if name not in arriving)
    if columns:
        yield from (
            f"column {c.name!r} of {table.into!r} must not be null, and is not written"
            for c in target.columns.values()
            if c.needed and c.name not in columns
        )
        yield from (
            f"key column {name!r} is not written" for name in target.key if table.on_conflict != "error" and name not in columns
        )
    if table.on_conflict != "error" and not target.key:
        wanted = f" over {', '.join(table.key)}" if table.key else ""
        yield f"on_conflict: {table.on_conflict} needs a unique key{wanted} of {table.into!r}, and there is none"


def _rights(relation: asyncpg.Record, table: TableOptions) -> Iterator[str]:
    if not relation["may_enter"]:
        yield f"the role has no USAGE on schema {table.target[0]!r}"
    needed = {"may_insert": "INSERT"}
    if table.on_conflict != "error":
        needed["may_select"] = "SELECT"
    if table.on_conflict == "update":
        needed["may_update"] = "UPDATE"
    yield from (f"the role has no {right} on {table.into!r}" for name, right in needed.items() if not relation[name])
    if relation["row_security"]:
        yield f"row security is on for {table.into!r}: COPY cannot write there"


def _key(table: TableOptions, keys: Sequence[tuple[bool, tuple[str, ...]]]) -> tuple[str, ...]:
    """The unique key that conflicts are told by: the one the spec names, else the primary key, else the only one."""
    if table.key:
        return next((columns for _, columns in keys if set(columns) == set(table.key)), ())
    if keys and (keys[0][0] or len(keys) == 1):
        return keys[0][1]
    return ()


async def _columns(transaction: Transaction, oids: list[int]) -> dict[int, dict[str, Column]]:
    columns: dict[int, dict[str, Column]] = {oid: {} for oid in oids}
    for r in await transaction.fetch(COLUMNS, oids):
        columns[r["oid"]][r["attname"]] = Column(r["attname"], r["type"], r["needed"] and not r["filled"], r["generated"])
    return columns


async def _keys(transaction: Transaction, oids: list[int]) -> dict[int, list[tuple[bool, tuple[str, ...]]]]:
    keys: dict[int, list[tuple[bool, tuple[str, ...]]]] = {}
    for r in await transaction.fetch(KEYS, oids):
        keys.setdefault(r["oid"], []).append((r["main"], tuple(r["columns"])))
    return keys


async def _own_findings(transaction: Transaction) -> list[str]:
    there, may_enter = (await transaction.fetch(SCHEMA))[0]
    if not there:
        return ["the schema 'stockifyd' with the ledger is not there"]
    if not may_enter:
        return ["the role has no USAGE on schema 'stockifyd'"]
    rows = await transaction.fetch(OWN_RIGHTS, list(OWN), list(OWN.values()))
    absent = sorted({r["name"] for r in rows if not r["there"]})
    return [f"the table stockifyd.{name} is not there" for name in absent] + [
        f"the role has no {r['needed']} on stockifyd.{r['name']}" for r in rows if r["there"]
    ]


async def _day_tables(transaction: Transaction) -> set[Name]:
    """The tables that `migrate` allowed us to make partitions of."""
    ask = """SELECT coalesce(has_table_privilege(to_regclass('stockifyd.day_tables')::oid, 'SELECT')
      AND has_function_privilege(to_regprocedure('stockifyd.ensure_day(regclass, date)')::oid, 'EXECUTE'), false)"""
    if not await transaction.value(ask):
        return set()
    return {(r[0], r[1]) for r in await transaction.fetch("SELECT schema_name, table_name FROM stockifyd.day_tables")}


async def _time_columns(transaction: Transaction) -> dict[Name, str]:
    """The time dimension of each hypertable; nothing without TimescaleDB."""
    if await transaction.value("SELECT to_regclass('timescaledb_information.dimensions') IS NULL"):
        return {}
    return {(r[0], r[1]): r[2] for r in await transaction.fetch(HYPERTABLES)}
