"""What `migrate` would do, as SQL: the ledger, the tables that ship with this plugin, partitions or hypertables, grants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from stockifyd_postgres.catalogue import Name
from stockifyd_postgres.names import qualified, quote
from stockifyd_postgres.options import PostgresOptions

BASE = """CREATE SCHEMA IF NOT EXISTS stockifyd;
CREATE TABLE IF NOT EXISTS stockifyd.migrations (
  name text PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""
MARKET = ("market_snapshots", "option_contracts", "option_analytics", "option_buildups", "option_recent_buildups")
BY_DAY = re.compile(r"^-- by day: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered, idempotent piece of SQL; recorded by its name."""

    name: str
    sql: str


def steps(options: Sequence[PostgresOptions], *, timescaledb: bool, like: Mapping[Name, Name] | None = None) -> list[Step]:
    """Everything but the grants: the ledger's steps, then the tables that the sinks write into; those in `like` as others are."""
    like = like or {}
    targets = list(dict.fromkeys(table.target for each in options for table in each.tables.values()))
    made = [Step(file, text) for file, text in shipped("migrations")]
    instruments = [(schema, "instruments") for schema, name in targets if name in MARKET]
    wanted = dict.fromkeys([*instruments, *targets])
    tables = {".".join(t): table_sql(t, timescaledb=timescaledb) or (like_sql(t, like[t]) if t in like else None) for t in wanted}
    return made + [Step(f"tables/{name}", sql) for name, sql in tables.items() if sql]


def shipped(folder: str) -> list[tuple[str, str]]:
    """The SQL files of a folder of this package, by name."""
    found = [(entry.name, entry.read_text("utf-8")) for entry in (files("stockifyd_postgres") / folder).iterdir()]
    return sorted((f"{folder}/{name.removesuffix('.sql')}", text) for name, text in found if name.endswith(".sql"))


def table_sql(target: Name, *, timescaledb: bool) -> str | None:
    """The DDL of a table that ships with this plugin, under the spec's schema; None of any other."""
    text = dict(shipped("tables")).get(f"tables/{target[1]}")
    if text is None:
        return None
    by_day = BY_DAY.search(text)
    column = by_day[1] if by_day else ""
    native = f" PARTITION BY RANGE ({quote(column)})" if column and not timescaledb else ""
    sql = text.replace("{table}", qualified(target)).replace("{schema}", quote(target[0])).replace("{by_day}", native)
    return _schema(target) + BY_DAY.sub("", sql).lstrip() + (_by_day(target, column, timescaledb=timescaledb) if column else "")


def like_sql(target: Name, other: Name) -> str:
    """The DDL of a table with the columns, keys and defaults of another one."""
    return f"{_schema(target)}CREATE TABLE IF NOT EXISTS {qualified(target)} (LIKE {qualified(other)} INCLUDING ALL);\n"


def _schema(target: Name) -> str:
    return "" if target[0] == "public" else f"CREATE SCHEMA IF NOT EXISTS {quote(target[0])};\n"


def _by_day(target: Name, column: str, *, timescaledb: bool) -> str:
    literal = "'" + qualified(target).replace("'", "''") + "'"
    if timescaledb:
        arguments = f"{literal}, '{column}', chunk_time_interval => INTERVAL '1 day', if_not_exists => true"
        return f"SELECT create_hypertable({arguments}, create_default_indexes => false);\n"
    schema, name = (part.replace("'", "''") for part in target)
    return (
        f"INSERT INTO stockifyd.day_tables (schema_name, table_name) SELECT '{schema}', '{name}' FROM pg_class\n"  # noqa: S608
        f"  WHERE oid = {literal}::regclass AND relkind = 'p' ON CONFLICT DO NOTHING;\n"
        f"SELECT stockifyd.ensure_day({literal}::regclass, (now() AT TIME ZONE 'UTC')::date + n)\n"
        f"  FROM generate_series(-2, 2) AS n\n"
        f"  WHERE EXISTS (SELECT FROM stockifyd.day_tables WHERE schema_name = '{schema}' AND table_name = '{name}');\n"
    )


def writer_grants(role: str, options: Sequence[PostgresOptions], existing: Sequence[Name], *, database: str) -> Iterator[str]:
    """What a sink needs, and no DDL. `existing` are the targets that are there."""
    to = f"TO {quote(role)};"
    yield f"GRANT TEMPORARY ON DATABASE {quote(database)} {to}" if database else _temporary(role)
    yield f"GRANT USAGE ON SCHEMA stockifyd {to}"
    yield f"GRANT SELECT, INSERT, UPDATE ON stockifyd.offsets {to}"
    yield f"GRANT SELECT, INSERT ON stockifyd.ledgers, stockifyd.gaps {to}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON stockifyd.dead_letters {to}"
    yield f"GRANT SELECT ON stockifyd.day_tables, stockifyd.migrations {to}"
    yield f"GRANT EXECUTE ON FUNCTION stockifyd.ensure_day(regclass, date) {to}"
    yield from _heartbeat(to)
    tables = [table for each in options for table in each.tables.values() if table.target in existing]
    yield from dict.fromkeys(f"GRANT USAGE ON SCHEMA {quote(table.target[0])} {to}" for table in tables)
    for table in tables:
        update = ", UPDATE" if table.on_conflict == "update" else ""
        yield f"GRANT SELECT, INSERT{update} ON {qualified(table.target)} {to}"


def reader_grants(role: str, existing: Sequence[Name]) -> Iterator[str]:
    """SELECT, on the tables and on what the daemon keeps."""
    to = f"TO {quote(role)};"
    beside = [(schema, name) for schema, table in existing if table == MARKET[0] for name in ("instruments", "symbol_snapshots")]
    existing = list(dict.fromkeys([*existing, *beside]))
    for schema in dict.fromkeys(["stockifyd", *(schema for schema, _ in existing)]):
        yield f"GRANT USAGE ON SCHEMA {quote(schema)} {to}"
    yield f"GRANT SELECT ON stockifyd.offsets, stockifyd.gaps, stockifyd.dead_letters {to}"
    yield from _heartbeat(to)
    for target in existing:
        yield f"GRANT SELECT ON {qualified(target)} {to}"


def _heartbeat(to: str) -> Iterator[str]:
    """For whoever looks up on replicas: to see how far they are behind, and to stamp the row that tells it."""
    yield f"GRANT SELECT ON stockifyd.heartbeat {to}"
    yield f"GRANT EXECUTE ON FUNCTION stockifyd.beat() {to}"


def _temporary(role: str) -> str:
    """For a script that does not know yet which database it will run in."""
    grant = f"GRANT TEMPORARY ON DATABASE %I TO {quote(role)}".replace("'", "''")
    return f"DO $$ BEGIN EXECUTE format('{grant}', current_database()); END $$;"
