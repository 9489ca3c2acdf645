"""Makes what a pipeline's PostgreSQL sinks need, under an owner role. `run` never does DDL."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stockifyd.api import Secret
from stockifyd_postgres import ddl
from stockifyd_postgres.address import Address, resolve
from stockifyd_postgres.catalogue import Name
from stockifyd_postgres.connection import Session, Transaction
from stockifyd_postgres.options import PostgresOptions
from stockifyd_postgres.reference import Reference
from stockifyd_postgres.sink import Postgres

LOG = logging.getLogger("stockifyd.migrate")
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('stockifyd migrate', 0))"
RECORD = "INSERT INTO stockifyd.migrations (name) VALUES ($1) ON CONFLICT DO NOTHING"
FORGET_BIRTH = "DELETE FROM stockifyd.ledgers WHERE consumer = $1 AND sink = $2"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for."""

    url: str = ""
    grant_to: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    loads: tuple[str, ...] = ()
    accept_database: bool = False
    timescaledb: bool = False
    like: Mapping[Name, Name] = field(default_factory=dict)
    """Tables that do not ship with stockifyd and are made all the same, as these are."""


def script(sinks: Sequence[Postgres], wishes: Wishes) -> str:
    """All of it as one SQL script, for whoever does the DDL by hand."""
    options = [sink.config for sink in sinks]
    parts = ["BEGIN;", ddl.BASE]
    if wishes.timescaledb:
        parts.append("CREATE EXTENSION IF NOT EXISTS timescaledb;")
    made = ddl.steps(options, timescaledb=wishes.timescaledb, like=wishes.like)
    for step in made:
        record = f"INSERT INTO stockifyd.migrations (name) VALUES ('{step.name}') ON CONFLICT DO NOTHING;"  # noqa: S608 - a file's name
        parts += [f"-- {step.name}", step.sql.rstrip(), record, ""]
    parts += _grants(_writers(sinks, wishes), wishes.readers, options, _targets(options), database="")
    return "\n".join([*parts, "COMMIT;", ""])


async def migrate(sinks: Sequence[Postgres], wishes: Wishes) -> list[str]:
    """Migrate each database that the sinks write to, in a transaction each; answers with what to tell."""
    told, references = list[str](), [Reference.read(asked) for asked in wishes.loads]
    places: dict[Address, list[Postgres]] = {}
    for sink in sinks:
        places.setdefault(owner_address(sink.config, wishes.url), []).append(sink)
    for address, group in places.items():
        session = Session(address, group[0].config, application="stockifyd migrate", log=LOG)
        try:
            async with session.transaction() as transaction:
                told += await apply(transaction, group, wishes)
                told += [await reference.load(transaction) for reference in references]
                await transaction.commit()
        finally:
            await session.close()
        told.append(f"✓ {address}/{address.database} is ready")
    return told


async def apply(transaction: Transaction, sinks: Sequence[Postgres], wishes: Wishes) -> list[str]:
    """Everything, inside a transaction; answers with what was new."""
    options = [sink.config for sink in sinks]
    await transaction.fetch(LOCK)
    await transaction.execute(ddl.BASE)
    timescaledb = await _timescaledb(transaction)
    new = []
    for step in ddl.steps(options, timescaledb=timescaledb, like=wishes.like):
        await transaction.execute(step.sql)
        if await transaction.execute(RECORD, step.name):
            new.append(f"  {step.name}")
    existing = [t for t in _targets(options) if await transaction.value("SELECT to_regclass($1) IS NOT NULL", _dotted(t))]
    database = str(await transaction.value("SELECT current_database()"))
    grants = _grants(_writers(sinks, wishes), wishes.readers, options, existing, database=database)
    for grant in grants:
        await transaction.execute(grant)
    for sink in sinks if wishes.accept_database else ():
        await transaction.execute(FORGET_BIRTH, sink.store.ledger.consumer, sink.store.ledger.sink)
    absent = [".".join(t) for t in dict.fromkeys(_targets(options)) if t not in existing]
    return new + [f"  {name}: no such table, and none ships with stockifyd: create it yourself" for name in absent]


def owner_address(options: PostgresOptions, url: str) -> Address:
    """Where the DDL goes: --url, else DATABASE_OWNER_URL, else the sink's own address."""
    owner = url or os.environ.get("DATABASE_OWNER_URL", "")
    return resolve(Secret(owner)) if owner else resolve(options.database)


async def _timescaledb(transaction: Transaction) -> bool:
    """Whether hypertables can be had; makes the extension if it can."""
    if await transaction.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'") == 0:
        return False
    await transaction.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    return True


def _writers(sinks: Sequence[Postgres], wishes: Wishes) -> list[str]:
    """The roles that write: those named, else those the sinks connect as, where they are not the owner itself."""
    if wishes.grant_to:
        return list(wishes.grant_to)
    roles = dict.fromkeys(resolve(sink.config.database).user for sink in sinks)
    owners = {owner_address(sink.config, wishes.url).user for sink in sinks}
    return [role for role in roles if role not in owners]


def _grants(
    writers: Sequence[str], readers: Sequence[str], options: Sequence[PostgresOptions], existing: Sequence[Name], *, database: str
) -> Iterator[str]:
    for role in writers:
        yield from ddl.writer_grants(role, options, existing, database=database)
    for role in readers:
        yield from ddl.reader_grants(role, existing)


def _targets(options: Sequence[PostgresOptions]) -> list[Name]:
    return [table.target for each in options for table in each.tables.values()]


def _dotted(target: Name) -> str:
    return f'"{target[0]}"."{target[1]}"'
