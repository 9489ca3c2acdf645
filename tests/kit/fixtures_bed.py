"""Fixtures: beds on the session's servers, servers that may be killed, and the seed of a run."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from kit.bed import Bed
from kit.fixtures_postgres import READER, WRITER, Database
from kit.kafka import KafkaServer
from kit.pgbouncer import PgBouncer
from kit.postgres import PostgresServer
from kit.postgres_replica import PostgresReplica
from kit.proxy import FaultProxy

MakeBed = Callable[..., Bed]


@pytest.fixture
def seed() -> int:
    """STOCKIFYD_SEED to repeat a run, else a new one."""
    return int(os.environ.get("STOCKIFYD_SEED") or random.SystemRandom().randrange(10**9))


@pytest.fixture
def chance(seed: int) -> random.Random:
    """What a fault leaves to chance."""
    return random.Random(seed)


@pytest.fixture
def make_bed(kafka: KafkaServer, database: Database, tmp_path: Path, seed: int) -> MakeBed:
    """A bed on the session's servers; another `kafka` or `database` where the fault needs its own."""

    def make(**options: object) -> Bed:
        return Bed(**{"kafka": kafka, "database": database, "folder": tmp_path, "seed": seed, **options})  # type: ignore[arg-type]

    return make


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """A broker that may be killed."""
    server = KafkaServer(tmp_path / "kafka")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def proxied(tmp_path: Path) -> AsyncIterator[tuple[KafkaServer, FaultProxy]]:
    """A broker that workers reach through a proxy alone, and the feed without it."""
    server = KafkaServer(tmp_path / "kafka")
    async with FaultProxy(server.port) as proxy:
        server.advertised_port = proxy.port
        try:
            await asyncio.to_thread(server.start)
            yield server, proxy
        finally:
            await asyncio.to_thread(server.stop)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that may be killed."""
    with PostgresServer() as server:
        server.create_role(WRITER)
        server.create_role(READER)
        yield server


@pytest.fixture
def own_database(own_postgres: PostgresServer) -> Iterator[Database]:
    """A database in a PostgreSQL, behind a PgBouncer, that may both be killed."""
    own_postgres.create_database("faults")
    with PgBouncer(own_postgres) as pooler:
        yield Database(own_postgres, pooler, "faults")


@pytest.fixture
def replica(own_database: Database) -> Iterator[PostgresReplica]:
    """A standby of `own_database`, streaming."""
    with PostgresReplica(own_database.server) as server:
        yield server


@pytest.fixture
def own_pooler(database: Database) -> Iterator[Database]:
    """The session's PostgreSQL behind a PgBouncer that may be killed."""
    with PgBouncer(database.server) as pooler:
        yield Database(database.server, pooler, database.name)
