"""PostgreSQL sinks for tests, and batches of option rows to write through them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from kit.fixtures_postgres import Database
from stockifyd.api import Batch, Component, Components, Context, Message, Partition, Position, Row, Span, Table, configure
from stockifyd_postgres.migrate import Wishes, apply, owner_address
from stockifyd_postgres.sink import Postgres

TOPIC = Partition("market.enriched", 0, "cluster-of-tests")
COLUMNS = ("timestamp", "symbol_id", "expiry", "strike_price", "option_type", "ltp", "oi")
EXPIRY = date(2026, 11, 26)
LOG = logging.getLogger("stockifyd.tests")
MARKET = {"options": {"into": "option_contracts"}}


def make_sink(
    database: Database | str,
    *,
    tables: Mapping[str, Any] = MARKET,
    name: str = "postgres",
    consumer: str = "storage-group",
    **options: Any,
) -> Postgres:
    """A sink as a spec would make it, not opened."""
    url = database if isinstance(database, str) else database.url
    config = configure(Postgres, {"database": url, "tables": dict(tables), **options})
    assert isinstance(config, Postgres.__orig_bases__[0].__args__[0])  # type: ignore[attr-defined]
    return Postgres(config, Context("storage", name, LOG, consumer=consumer))


async def migrate(database: Database, *sinks: Postgres, readers: Sequence[str] = (), accept_database: bool = False) -> list[str]:
    """What `stockifyd migrate` does, for these sinks."""
    wishes = Wishes(url=database.owner_url, readers=tuple(readers), accept_database=accept_database)
    session = sinks[0].store.connect()
    session.address = owner_address(sinks[0].config, wishes.url)
    try:
        async with session.transaction() as transaction:
            told = await apply(transaction, sinks, wishes)
            await transaction.commit()
            return told
    finally:
        await session.close()


def now() -> datetime:
    """Today at noon: not near midnight, and plausible."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


def option_rows(offset: int, count: int, *, at: datetime | None = None) -> list[Row]:
    """The rows of one message: its offset is the instant, so that no two messages share a key."""
    stamp = (at or now()) + timedelta(milliseconds=offset)
    return [(stamp, 13, EXPIRY, 20000.0 + 50 * (i // 2), "CE" if i % 2 == 0 else "PE", 100.5, 25 * i) for i in range(count)]


def message(offset: int, partition: Partition = TOPIC, raw: bytes | None = None) -> Message:
    return Message(
        Position(partition, offset), raw if raw is not None else b'{"n": %d}' % offset, timestamp_ms=1_790_000_000_000 + offset
    )


def options_batch(base: int, count: int, *, rows: int = 4, partition: Partition = TOPIC) -> Batch:
    """Messages base..base+count, each with its rows, and the advance over them."""
    return batch_of({offset: option_rows(offset, rows) for offset in range(base, base + count)}, partition=partition)


def batch_of(rows: Mapping[int, Sequence[Row]], *, partition: Partition = TOPIC, columns: Sequence[str] = COLUMNS) -> Batch:
    """A batch of these messages' rows by offset."""
    all_rows: list[Row] = []
    ends = []
    for part in rows.values():
        all_rows += part
        ends.append(len(all_rows))
    span = Span(min(rows), max(rows) + 1)
    messages = tuple(message(offset, partition) for offset in rows)
    return Batch(messages, {"options": Table(tuple(columns), all_rows, ends)}, advance={partition: span})


def components(sink: Postgres, *transforms: Component[Any]) -> Components:
    """What a command is given of a spec."""
    return Components("storage", None, tuple(transforms), (sink,))  # type: ignore[arg-type]
