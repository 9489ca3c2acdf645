"""Rows of the past on a primary, replayed by its replica."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kit.fixtures_postgres import Database
from kit.history import DAYS, FILL, History
from kit.pgbouncer import PgBouncer
from kit.postgres_replica import PostgresReplica
from kit.postgres_sink import make_sink, migrate


@pytest.fixture
async def history(own_database: Database, replica: PostgresReplica) -> AsyncIterator[History]:
    """The tables as `migrate` makes them, filled, and replayed by the replica."""
    await migrate(own_database, make_sink(own_database))
    days = ", ".join(f"'{day}'::date" for day in DAYS)
    own_database.sql(f"SELECT stockifyd.ensure_day('option_contracts', day) FROM unnest(ARRAY[{days}]) AS t(day)")
    own_database.sql(FILL)
    replica.catch_up()
    with PgBouncer(replica) as pooler:
        yield History(own_database, replica, pooler)
