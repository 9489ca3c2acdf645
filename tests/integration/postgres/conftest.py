"""A migrated database, and sinks that are closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from kit.fixtures_postgres import Database
from kit.postgres_sink import make_sink, migrate
from stockifyd_postgres.sink import Postgres

Opened = Callable[..., Awaitable[Postgres]]


@pytest.fixture
async def market(database: Database) -> Database:
    """A database with the ledger and option_contracts, by days, for the writer."""
    await migrate(database, make_sink(database))
    return database


@pytest.fixture
async def opened(market: Database) -> AsyncIterator[Opened]:
    """Opens sinks on it, with any options; `url` for another way there."""
    sinks: list[Postgres] = []

    async def make(*, url: str = "", **options: Any) -> Postgres:
        sink = make_sink(url or market, **options)
        sinks.append(sink)
        await sink.open()
        return sink

    yield make
    for sink in sinks:
        await sink.close()
