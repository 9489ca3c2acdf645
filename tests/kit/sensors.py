"""Sensors in rooms, what they measured, and readings whose rows are looked up there: nothing of markets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kit.fixtures_postgres import READER, Database
from kit.postgres_sink import make_sink, migrate
from stockifyd.api import Batch, Context, Message, Partition, Position, Row, Span, Table, configure
from stockifyd.api.options import Config
from stockifyd_postgres.lookup import Lookup
from stockifyd_postgres.lookup_options import LookupOptions

TOPIC = Partition("readings", 0, "cluster-of-tests")
COLUMNS = ("at", "sensor", "celsius")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LOG = logging.getLogger("stockifyd.tests.lookup")
SCHEMA = f"""CREATE TABLE sensors (sensor_id integer PRIMARY KEY, room text, floor smallint);
INSERT INTO sensors SELECT n, 'room ' || n, n / 10 FROM generate_series(1, 100) AS n;
CREATE TABLE measured (sensor_id integer, at timestamptz, celsius double precision, PRIMARY KEY (sensor_id, at));
INSERT INTO measured SELECT s, '{NOON.isoformat()}'::timestamptz - n * interval '1 minute', s + n / 1000.0
  FROM generate_series(1, 20) AS s, generate_series(0, 300) AS n;
GRANT SELECT ON sensors, measured TO {READER};"""

ROOM: Mapping[str, Any] = {"table": "readings", "from": "sensors", "match": {"sensor": "sensor_id"}, "columns": ["room", "floor"]}
PAST: Mapping[str, Any] = {
    "table": "readings",
    "from": "measured",
    "match": {"sensor": "sensor_id"},
    "columns": ["celsius"],
    "prefix": "past_",
    "as_of": {"column": "at", "time": "at", "ago_secs": 300, "within_secs": 600},
}


async def furnish(database: Database) -> None:
    """The ledger and the heartbeat as `migrate` makes them, and the tables; READER may read all of it."""
    await migrate(database, make_sink(database), readers=[READER])
    database.sql(SCHEMA)


def make_lookup(url: str, options: Mapping[str, Any] = ROOM, *, consumer: str = "climate", **more: Any) -> Lookup:
    """A lookup as a spec would make it, not opened."""
    config: Config = configure(Lookup, {"database": url, "primary": url, **options, **more})
    assert isinstance(config, LookupOptions)
    return Lookup(config, Context("climate", "lookup", LOG, consumer=consumer))


def readings(rows: Sequence[Sequence[Row]], *, first: int = 0, partition: Partition = TOPIC) -> Batch:
    """A batch of messages, each with its rows of `readings`."""
    flat = [row for part in rows for row in part]
    ends = [sum(map(len, rows[: n + 1])) for n in range(len(rows))]
    messages = tuple(Message(Position(partition, first + n), b"reading %d" % n) for n in range(len(rows)))
    advance = {partition: Span(first, first + len(rows))} if rows else {}
    return Batch(messages, {"readings": Table(COLUMNS, flat, ends)}, advance=advance)


def reading(sensor: Any, *, minute: float = 0) -> Row:
    """A row of `readings`, so many minutes after noon."""
    return NOON + timedelta(minutes=minute), sensor, 20.5
