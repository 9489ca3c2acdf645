"""What the transforms of option chains make is stored by the tables that ship: arrays, nulls, flags and all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from kit.fixtures_postgres import Database
from kit.postgres_sink import TOPIC, make_sink, migrate
from stockifyd.api import Batch, Config, Message, Position, Span, Table, Transform
from stockifyd.testing import flow, make
from stockifyd_optionchain import CheckChain, ClassifyBuildup, EnrichGreeks, FlattenChain, SummariseChain
from stockifyd_optionchain.simulator import Simulator

TABLES = {
    "snapshots": {"into": "market_snapshots"},
    "options": {"into": "option_contracts"},
    "analytics": {"into": "option_analytics"},
    "buildups": {"into": "option_buildups"},
    "recent_buildups": {"into": "option_recent_buildups"},
}


class Nothing(Config, frozen=True):
    """None."""


class Earlier(Transform[Nothing]):
    """A history of every other option, a minute before."""

    type = "earlier"

    def apply(self, batch: Batch) -> Batch:
        made = batch.tables["buildups"]
        rows = [(*row[1:5], 1.5, 100, row[0] - timedelta(minutes=1)) for row in made.rows]
        kept = [row if n % 2 else (None, *row[1:]) for n, row in enumerate(rows)]
        return batch.with_table("history", Table((*made.columns[1:5], "ltp", "oi", "timestamp"), kept, made.ends))


def transforms() -> list[Transform[Any]]:
    return [
        make(CheckChain, rate_pct=6.5),
        make(EnrichGreeks, rate_pct=6.5),
        make(ClassifyBuildup),
        make(Earlier),
        make(ClassifyBuildup, history="history", table="recent_buildups"),
        make(SummariseChain, rate_pct=6.5),
        make(FlattenChain),
    ]


def chains(count: int) -> Batch:
    today = datetime.now(UTC).date()
    simulated = islice(Simulator(1, today, underlyings=["NIFTY"], strikes=30, interval_secs=60), count)
    messages = [Message(Position(TOPIC, n), one.value, timestamp_ms=one.timestamp_ms) for n, one in enumerate(simulated)]
    # The options of one are known by name alone: all else of it is null.
    bare = b'{"timestamp": "%sT04:00:00Z", "symbol_id": 99, "symbol": "X", "options": [%s]}' % (
        str(today).encode(),
        b'{"expiry": "%s", "strike": 100, "option_type": "CE"}' % str(today).encode(),
    )
    messages.append(Message(Position(TOPIC, count), bare))
    return Batch(tuple(messages), advance={TOPIC: Span(0, count + 1)})


@pytest.mark.parametrize("table", list(TABLES.values()), ids=list(TABLES))
async def test_rows_come_back_as_they_went(table: dict[str, str], database: Database) -> None:
    """Each table holds, value for value, the rows that the transforms made."""
    sink = make_sink(database, tables=TABLES)
    await migrate(database, sink)
    [batch] = await flow(chains(12), *transforms(), sink)
    [name] = [name for name, into in TABLES.items() if into == table]
    made, columns = batch.tables[name], ", ".join(f'"{column}"' for column in batch.tables[name].columns)
    session = sink.store.connect()
    async with session.transaction() as transaction:
        stored = await transaction.fetch(f"SELECT {columns} FROM {table['into']}")
    await session.close()

    assert sorted(map(repr, made.rows)) == sorted(repr(tuple(row)) for row in stored)
    assert (batch.rejected, 13) == ((), len(batch.messages))


async def test_tables_made_before_get_the_column(database: Database) -> None:
    """`migrate` adds `quality` to tables of an earlier version."""
    sink = make_sink(database, tables=TABLES)
    await migrate(database, sink)
    database.sql("ALTER TABLE option_contracts DROP COLUMN quality; ALTER TABLE market_snapshots DROP COLUMN quality")
    await migrate(database, sink)
    found = database.sql("SELECT count(*) FROM pg_attribute WHERE attname = 'quality' AND attrelid::regclass::text LIKE ANY "
                         "(ARRAY['option_contracts', 'market_snapshots'])")  # fmt: skip
    assert found == "2"
