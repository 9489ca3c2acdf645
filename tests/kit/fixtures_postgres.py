"""Fixtures: a PostgreSQL and a PgBouncer for the session, a fresh database for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kit.pgbouncer import PgBouncer
from kit.postgres import PostgresServer

_numbers = itertools.count(1)
WRITER = "stockify_writer"
READER = "stockify_reader"


@dataclass(frozen=True)
class Database:
    """One empty database, reachable as its owner or as the writer, through the pooler or straight."""

    server: PostgresServer
    pooler: PgBouncer
    name: str

    @property
    def url(self) -> str:
        """As the writer role, through PgBouncer: what a sink is given."""
        return self.pooler.url(self.name, user=WRITER)

    @property
    def owner_url(self) -> str:
        return self.server.url(self.name)

    @property
    def direct_url(self) -> str:
        """As the writer role, without a pooler."""
        return self.server.url(self.name, user=WRITER)

    def url_at(self, port: int) -> str:
        """As the writer role, through whatever listens at that port."""
        return self.server.url(self.name, user=WRITER, port=port)

    def sql(self, text: str) -> str:
        """Run SQL as the superuser; answers with psql's unaligned output."""
        return self.server.sql(text, database=self.name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session."""
    with PostgresServer() as server:
        server.create_role(WRITER)
        server.create_role(READER)
        yield server


@pytest.fixture(scope="session")
def pgbouncer(postgres: PostgresServer) -> Iterator[PgBouncer]:
    """A PgBouncer before it, pooling by transaction."""
    with PgBouncer(postgres) as pooler:
        yield pooler


@pytest.fixture
def database(postgres: PostgresServer, pgbouncer: PgBouncer) -> Iterator[Database]:
    """A new, empty database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    postgres.create_database(name)
    yield Database(postgres, pgbouncer, name)
    postgres.drop_database(name)
