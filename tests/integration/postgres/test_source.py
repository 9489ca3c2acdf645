"""The source `postgres` on real servers: the contract of sources, and what its options choose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kit.fixtures_postgres import Database
from kit.postgres_replica import PostgresReplica
from stockifyd.api import Drift, Message, Partition, Unavailable
from stockifyd.testing import MemoryClaims, SourceContract, make
from stockifyd_postgres.source import PostgresSource

START = datetime(2026, 11, 23, 23, 59, 57, tzinfo=UTC)
QUOTES = """CREATE TABLE quotes ("at" timestamptz, symbol_id int, strike double precision, body bytea,
PRIMARY KEY (symbol_id, strike, "at")); GRANT SELECT ON quotes TO PUBLIC"""

END_BACKENDS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'stockify_writer'"


def text(at: datetime) -> str:
    return at.isoformat()


class TestPostgresSource(SourceContract[PostgresSource]):
    """Through PgBouncer, over midnight, two rows a fetch: it keeps the contract."""

    source = PostgresSource
    database: Database

    @pytest.fixture(autouse=True)
    def prepared(self, database: Database) -> None:
        database.sql(QUOTES)
        self.database = database

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return options_of(self.database.url, read_max_rows=2)

    async def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        await asyncio.to_thread(self.database.sql, "TRUNCATE quotes")
        rows = [f"('{text(START + timedelta(seconds=n))}', 13, {n}, '\\x{body.hex()}')" for n, body in enumerate(bodies)]
        if rows:
            await asyncio.to_thread(self.database.sql, f"INSERT INTO quotes VALUES {', '.join(rows)}")

    def body(self, message: Message) -> bytes:
        [row] = json.loads(message.raw)["rows"]
        return bytes.fromhex(row["body"].removeprefix("\\x"))

    def break_it(self, component: PostgresSource) -> None:
        self.database.sql("ALTER TABLE quotes RENAME TO gone")

    def mend_it(self, component: PostgresSource) -> None:
        self.database.sql("ALTER TABLE gone RENAME TO quotes")


def options_of(url: str, **options: Any) -> dict[str, Any]:
    window = {"from": text(START), "to": text(START + timedelta(hours=1))}
    return {"database": url, "table": "quotes", "time_column": "at", **window, **options}


async def read(database: Database | str, claims: MemoryClaims | None = None, **options: Any) -> list[Message]:
    """All that a source with these options reads."""
    url = database if isinstance(database, str) else database.direct_url
    source = make(PostgresSource, **options_of(url, **options))
    try:
        await source.open()
        return [message async for part in source.read(claims or MemoryClaims()) for message in part]
    finally:
        await source.close()


def rows_of(messages: Sequence[Message]) -> list[list[Any]]:
    return [[row["strike"] for row in json.loads(message.raw)["rows"]] for message in messages]


@pytest.fixture
def quotes(database: Database) -> Database:
    """Two instants of two symbols, two strikes each."""
    values = [
        f"('{text(START + timedelta(seconds=at))}', {symbol}, {strike}, '{at}')"
        for at in (1, 0)
        for symbol in (25, 13)
        for strike in (200, 100)
    ]
    database.sql(f"{QUOTES}; INSERT INTO quotes VALUES {', '.join(values)}")
    return database


async def test_a_message_is_an_instant(quotes: Database) -> None:
    """All rows of one time, in the order of the key, however few are fetched at a time."""
    found = await read(quotes, read_max_rows=3)
    assert [[100, 200, 100, 200]] * 2 == rows_of(found)
    assert [1000 * int(START.timestamp() + n) for n in range(2)] == [message.timestamp_ms for message in found]


async def test_message_by_parts_an_instant(quotes: Database) -> None:
    """Rows that agree are a message, its key their values, its offset rises inside the instant."""
    found = await read(quotes, message_by=["symbol_id"], columns=["strike"])
    assert [(b"13", [100, 200]), (b"25", [100, 200])] * 2 == [
        (m.key, strikes) for m, strikes in zip(found, rows_of(found), strict=True)
    ]
    assert [0, 1, 0, 1] == [message.position.offset % 1_000_000 for message in found]


async def test_a_row_is_a_message(quotes: Database) -> None:
    """`message: row` gives bare objects, with the columns in the order in which they are named."""
    found = await read(quotes, message="row", columns=["strike", "at"], where_in={"symbol_id": [13], "body": ["\\x30"]})
    assert [b'{"strike":%d,"at":"2026-11-23T23:59:57+00:00"}' % strike for strike in (100, 200)] == [m.raw for m in found]


async def test_a_big_message_is_cut(quotes: Database) -> None:
    """No message has more than `message_max_rows`."""
    assert [[100, 200, 100], [200]] * 2 == rows_of(await read(quotes, message_max_rows=3))


async def test_times_without_a_zone_and_dates(database: Database) -> None:
    """`timestamp` is taken as UTC, `date` as its midnight; what lies before `from` and from `to` on is left out."""
    database.sql(
        "CREATE TABLE quotes (at timestamp, strike int PRIMARY KEY, day date); GRANT SELECT ON quotes TO PUBLIC;"
        "INSERT INTO quotes SELECT timestamp '2026-11-23T23:59:56' + n * interval '1 s', n, date '2026-11-22' + n"
        " FROM generate_series(0, 4) n"
    )
    window = {"from": "2026-11-24T05:29:57+05:30", "to": "2026-11-24T00:00:00Z"}
    assert [[1], [2], [3]] == rows_of(await read(database, **window))
    wide = {"time_column": "day", "from": "2026-11-22T00:00:01Z", "to": "2026-11-25T00:00:00Z"}
    assert [[1], [2]] == rows_of(await read(database, **wide))


async def test_every_day_is_a_partition_and_ends_at_its_end(quotes: Database) -> None:
    """A day that was read to its end is not asked for again, and a later `to` reads what is behind."""
    claims = MemoryClaims()
    found = await read(quotes, claims, to=text(START + timedelta(seconds=1)))
    [partition] = claims.next
    assert (Partition("public.quotes", 20261123, partition.cluster), 1) == (partition, len(found))
    assert partition == (await read(quotes, claims))[0].position.partition
    assert {20261123, 20261124} == {partition.number for partition in claims.next}


async def test_other_options_are_another_stream(quotes: Database) -> None:
    """A position means a message under the options that decide about messages: a ledger never takes one for the other."""
    one, other = await read(quotes), await read(quotes, message_by=["symbol_id"])
    assert one[0].position.partition != other[0].position.partition


async def test_what_was_stored_is_recognised(quotes: Database) -> None:
    """Where reading goes on, the message before is shown to the ledgers."""
    found = await read(quotes, message_by=["symbol_id"])
    claims = MemoryClaims({found[1].position.partition: found[1].position.offset + 1})
    assert found[2:] == await read(quotes, claims, message_by=["symbol_id"])
    assert [found[1]] == claims.recognised


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"table": "quote"}, "no table or view 'quote'"),
        ({"time_column": "body"}, "'body' of 'quotes' is of type bytea"),
        ({"columns": ["strik"]}, "did you mean 'strike'"),
        ({"to": "2199-01-01T00:00:00Z"}, "is in the future"),
        ({"table": "pg_catalog.pg_tables", "time_column": "tablename"}, "of type name"),
    ],
)
async def test_what_cannot_be_asked_is_said(quotes: Database, options: dict[str, Any], words: str) -> None:
    """Before the first row, with what is wrong in it."""
    with pytest.raises(Drift, match=words):
        await read(quotes, **options)


async def test_a_view_needs_a_key(quotes: Database) -> None:
    """What has no primary key is asked for one; then it is read."""
    quotes.sql("CREATE VIEW bids AS SELECT * FROM quotes; GRANT SELECT ON bids TO PUBLIC")
    with pytest.raises(Drift, match="no primary key"):
        await read(quotes, table="bids")
    assert 2 == len(await read(quotes, table="bids", key=["symbol_id", "strike"]))


async def test_a_lost_connection_is_ridden_out(quotes: Database) -> None:
    """The server ends our backend between two fetches: each message comes once all the same."""
    source = make(PostgresSource, **options_of(quotes.direct_url, message="row", read_max_rows=1))
    found = list[Message]()
    await source.open()
    async for part in source.read(MemoryClaims()):
        found += part
        if len(found) == 3:
            await asyncio.to_thread(quotes.sql, f"{END_BACKENDS} AND datname = '{quotes.name}'")
    await source.close()
    assert (8, 8) == (len(found), len({message.position for message in found}))


async def test_a_cursor_that_nobody_reads_is_closed(quotes: Database) -> None:
    """Paused for a while, no transaction of ours is open; resumed, each message comes once."""
    source = make(PostgresSource, **options_of(quotes.direct_url, message="row", read_max_rows=1))
    held = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{quotes.name}' AND state LIKE 'idle in transaction%'"
    found, counts = list[Message](), list[str]()
    await source.open()
    async for part in source.read(MemoryClaims()):
        found += part
        if len(found) == 3 and counts[-1:] != ["0"]:
            source.pause()
            counts.append(await asyncio.to_thread(quotes.sql, held))
            if counts[-1] == "0":
                source.resume()
        assert len(counts) < 100, "it is never closed"
    await source.close()
    assert ("1", 8, 8) == (counts[0], len(found), len({message.position for message in found}))


async def test_a_replica_that_is_behind_is_waited_for(own_database: Database, replica: PostgresReplica) -> None:
    """Rows before `to` that it has not replayed yet are not left out: it is unavailable until it has them."""
    own_database.sql(QUOTES)
    replica.catch_up()
    replica.pause_replay()
    now = datetime.now(UTC)
    own_database.sql(f"INSERT INTO quotes VALUES ('{text(now)}', 13, 1, 'late')")
    window = {"from": text(now - timedelta(minutes=1)), "to": text(datetime.now(UTC))}
    url = replica.url(own_database.name, user="stockify_writer")
    with pytest.raises(Unavailable, match="has not replayed"):
        await read(url, **window)
    replica.resume_replay()
    own_database.sql("CREATE TABLE later()")  # waits for its COMMIT to be on disk, as a number of a transaction alone does not
    replica.catch_up()
    assert [[1]] == rows_of(await read(url, **window))
