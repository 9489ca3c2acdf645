"""A primary and two streaming replicas, each behind a PgBouncer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from kit.fixtures_postgres import READER, Database
from kit.house import House, Opened
from kit.pgbouncer import PgBouncer
from kit.postgres import PASSWORD
from kit.postgres_replica import PostgresReplica
from kit.sensors import furnish, make_lookup
from stockifyd_postgres.lookup import Lookup


@pytest.fixture
def second(own_database: Database) -> Iterator[PostgresReplica]:
    """Another standby."""
    with PostgresReplica(own_database.server) as server:
        yield server


@pytest.fixture
async def house(
    own_database: Database, replica: PostgresReplica, second: PostgresReplica, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """The environment names the primary and both replicas, in order."""
    await furnish(own_database)
    with PgBouncer(replica) as one, PgBouncer(second) as two:
        found = House(own_database, (replica, second), (one, two))
        environment = {
            "DATABASE_PRIMARY_HOST": "127.0.0.1",
            "DATABASE_PORT": str(own_database.pooler.port),
            "DATABASE_REPLICA_HOSTS": f"127.0.0.1:{one.port}, 127.0.0.1:{two.port}",
            "DATABASE_NAME": own_database.name,
            "DATABASE_USER": READER,
            "DATABASE_PASSWORD": PASSWORD,
        }
        monkeypatch.delenv("DATABASE_URL", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        found.catch_up()
        yield found


@pytest.fixture
async def opened(house: House) -> AsyncIterator[Opened]:
    """Opens lookups of the replicas."""
    made: list[Lookup] = []

    async def make(**options: Any) -> Lookup:
        lookup = make_lookup(**{"url": "replica", "primary": "primary", "max_lag_ms": 2000, **options})
        made.append(lookup)
        await lookup.open()
        return lookup

    yield make
    for lookup in made:
        await lookup.close()
