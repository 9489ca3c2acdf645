"""What is found, of which row, in how many queries; on a real PostgreSQL through PgBouncer."""
# what is expected stands first in an assert

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kit.eventually import eventually
from kit.fixtures_postgres import READER, Database
from kit.sensors import NOON, PAST, ROOM, TOPIC, furnish, make_lookup, reading, readings
from stockifyd.api import Batch, Drift, Partition, Retry, Row
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.lookup import Lookup

Opened = Callable[..., Awaitable[Lookup]]


@pytest.fixture
async def house(database: Database) -> Database:
    """Sensors, and what they measured."""
    await furnish(database)
    return database


@pytest.fixture
async def opened(house: Database) -> AsyncIterator[Opened]:
    """Opens lookups there, as the reader."""
    made: list[Lookup] = []

    async def make(options: Mapping[str, Any] = ROOM, **more: Any) -> Lookup:
        lookup = make_lookup(house.pooler.url(house.name, user=READER), options, **more)
        made.append(lookup)
        await lookup.open()
        return lookup

    yield make
    for lookup in made:
        await lookup.close()


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of each query that goes to the server."""
    seen: list[str] = []
    fetch = Transaction.fetch

    async def listened(self: Transaction, sql: str, *arguments: Any) -> list[Any]:
        seen.append(sql)
        return await fetch(self, sql, *arguments)

    monkeypatch.setattr(Transaction, "fetch", listened)
    return seen


def rows(batch: Batch, table: str = "readings") -> list[Row]:
    return batch.tables[table].rows


async def test_columns_are_added(opened: Opened) -> None:
    """Each row gets what the row of its key says; where there is none, or the key is null, nulls."""
    after = await (await opened()).apply(readings([[reading(7)], [reading(42), reading(999), reading(None)]]))
    assert ("at", "sensor", "celsius", "room", "floor") == after.tables["readings"].columns
    assert [("room 7", 0), ("room 42", 4), (None, None), (None, None)] == [row[3:] for row in rows(after)]
    assert [1, 4] == after.tables["readings"].ends


async def test_one_query_for_a_batch(opened: Opened, queries: list[str]) -> None:
    """Ten thousand rows are one query, and how fresh the server is another, in the same snapshot."""
    lookup = await opened()
    queries.clear()
    after = await lookup.apply(readings([[reading(1 + n % 100) for n in range(100)] for _ in range(100)]))
    assert (2, 10_000) == (len(queries), sum(row[3] is not None for row in rows(after)))


async def test_a_message_without_its_row_is_rejected(opened: Opened) -> None:
    """`on_miss: reject`: the message goes, whole, with its reason; its neighbours stay."""
    after = await (await opened(on_miss="reject")).apply(readings([[reading(1)], [reading(2), reading(999)], [reading(3)]]))
    assert [0, 2] == [message.position.offset for message in after.messages]
    assert [(1, "no row of 'sensors' matches its sensor")] == [(d.message.position.offset, d.reason) for d in after.rejected]
    assert ["room 1", "room 3"] == [row[3] for row in rows(after)]


@pytest.mark.parametrize(
    ("sensor", "reason"),
    [
        ("7", "column 'sensor', looked up as integer: a str, not a whole number"),
        (7.5, "column 'sensor', looked up as integer: a float, not a whole number"),
        (2**40, "column 'sensor', looked up as integer: out of range"),
        ([7], "column 'sensor', looked up as integer: a list, not a whole number"),
    ],
)
async def test_a_key_that_cannot_be_one_is_a_dead_letter(opened: Opened, sensor: object, reason: str) -> None:
    """A type that the column has not takes its own message out, and no other."""
    after = await (await opened()).apply(readings([[reading(1)], [reading(sensor)], [reading(3)]]))
    assert [(1, reason)] == [(letter.message.position.offset, letter.reason) for letter in after.rejected]
    assert ["room 1", "room 3"] == [row[3] for row in rows(after)]


async def test_as_of_agrees_with_sql(opened: Opened, house: Database) -> None:
    """For random sensors and times, the same rows as one query each of psql finds."""
    chance = random.Random(7)
    asked = [reading(chance.randint(1, 25), minute=chance.randint(-400, 400) + chance.choice((0, 0.5))) for _ in range(300)]
    after = await (await opened(PAST)).apply(readings([asked]))
    oracle = house.sql(
        "\n".join(
            f"""SELECT coalesce((SELECT celsius::text FROM measured WHERE sensor_id = {sensor}
            AND at <= '{at - timedelta(seconds=300)}' AND at > '{at - timedelta(seconds=900)}' ORDER BY at DESC LIMIT 1), '-');"""
            for at, sensor, _ in asked
        )
    ).splitlines()
    found = ["-" if row[3] is None else float(row[3]) for row in rows(after)]
    assert ["-" if text == "-" else float(text) for text in oracle] == found
    assert 50 < sum(value != "-" for value in found) < 290


async def test_the_newest_row_is_not_later_than_the_time(opened: Opened) -> None:
    """A row of just that time counts, one of a moment later does not."""
    lookup = await opened({**PAST, "as_of": {"column": "at", "time": "at", "within_secs": 60}})
    after = await lookup.apply(readings([[reading(5, minute=-10), reading(5, minute=-9.999), reading(5, minute=-10.001)]]))
    assert [5.010, 5.010, 5.011] == [row[3] for row in rows(after)]


async def test_the_day_before(opened: Opened, house: Database) -> None:
    """`before_day_in`: the last row before the row's own day began, there: on Monday that of Friday."""
    friday, monday = datetime(2026, 11, 20, 10, tzinfo=UTC), datetime(2026, 11, 23, 4, tzinfo=UTC)
    early = datetime(2026, 11, 22, 18, 29, 59, tzinfo=UTC), datetime(2026, 11, 22, 18, 30, tzinfo=UTC)  # around midnight in India
    house.sql(f"INSERT INTO measured VALUES (77, '{friday}', 1.5), (78, '{early[0]}', 2.5), (78, '{early[1]}', 3.5)")
    as_of = {"column": "at", "time": "at", "before_day_in": "Asia/Kolkata", "within_secs": 7 * 86400}
    lookup = await opened({**PAST, "as_of": as_of})
    after = await lookup.apply(readings([[(monday, 77, 0.0), (monday, 78, 0.0)]]))
    assert [1.5, 2.5] == [row[3] for row in rows(after)]


async def test_into_another_table(opened: Opened) -> None:
    """`into`: a table of the key and what was found, owned by the same messages; the first one stays as it was."""
    before = readings([[reading(1)], [], [reading(2), reading(99)]])
    after = await (await opened({**PAST, "into": "history"})).apply(before)
    assert before.tables["readings"] == after.tables["readings"]
    assert ("sensor", "past_celsius") == after.tables["history"].columns
    assert [(1, 1.005), (2, 2.005), (99, None)] == rows(after, "history")
    assert [1, 1, 3] == after.tables["history"].ends


async def test_found_rows_are_remembered_for_a_while(opened: Opened, house: Database, queries: list[str]) -> None:
    """`cache_secs`: the second batch asks for what is new alone, and what changed meanwhile is not seen yet."""
    lookup = await opened(cache_secs=3600)
    await lookup.apply(readings([[reading(1), reading(2)]]))
    house.sql("UPDATE sensors SET room = 'moved'")
    queries.clear()
    after = await lookup.apply(readings([[reading(1), reading(3), reading(2)]]))
    assert ["room 1", "moved", "room 2"] == [row[3] for row in rows(after)]
    queries.clear()
    await lookup.apply(readings([[reading(1), reading(3), reading(2)]]))
    assert [] == queries


async def test_what_was_not_found_is_asked_for_again(opened: Opened, house: Database) -> None:
    """A miss is not remembered."""
    lookup = await opened(cache_secs=3600)
    await lookup.apply(readings([[reading(500)]]))
    house.sql("INSERT INTO sensors VALUES (500, 'new', 1)")
    assert ["new"] == [row[3] for row in rows(await lookup.apply(readings([[reading(500)]])))]


async def test_the_loop_goes_on(opened: Opened, queries: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty thousand keys go out 2,500 at a time, and others have their turn before each slice of rows is made."""
    lookup = await opened(PAST)
    batch = readings([[reading(1 + n % 20, minute=-(n // 20) - m / 100) for n in range(500)] for m in range(40)])
    turns: list[int] = [0]
    seen: list[int] = []
    rows_of = Lookup._rows

    def watched(self: Lookup, *arguments: Any, **more: Any) -> Any:
        seen.append(turns[0])
        return rows_of(self, *arguments, **more)

    async def tick() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(Lookup, "_rows", watched)
    ticking = asyncio.create_task(tick())
    queries.clear()
    after = await lookup.apply(batch)
    ticking.cancel()
    assert all(row[3] is not None for row in rows(after))
    assert (1 + 8, 10) == (len(queries), len(set(seen)))


async def test_rows_of_another_pipeline_are_waited_for(opened: Opened, house: Database) -> None:
    """`after`: Retry until that pipeline's offsets reach our last message, of each partition; then what it stored is found."""
    lookup = await opened(after={"consumer": "storage-group"})
    batch = readings([[reading(1)], [reading(2)]], first=10)
    with pytest.raises(Retry, match="storage-group/postgres has not stored readings/0 up to 11 here yet, but nothing"):
        await lookup.apply(batch)
    insert = "INSERT INTO stockifyd.offsets (consumer, sink, cluster, topic, partition, next_offset)"
    house.sql(f"{insert} VALUES ('storage-group', 'postgres', '{TOPIC.cluster}', 'readings', 0, 10)")
    with pytest.raises(Retry, match="but 10"):
        await lookup.apply(batch)
    house.sql("UPDATE stockifyd.offsets SET next_offset = 11")
    assert ["room 1", "room 2"] == [row[3] for row in rows(await lookup.apply(batch))]
    elsewhere = readings([[reading(1)]], first=10, partition=Partition("readings", 0, "another cluster"))
    with pytest.raises(Retry, match="but nothing"):
        await lookup.apply(elsewhere)


async def test_rows_that_are_about_to_come(
    opened: Opened, house: Database, queries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored a moment later is found without a word: the other pipeline reads the same messages at this moment."""
    lookup = await opened(after={"consumer": "storage-group"})
    monkeypatch.setattr("stockifyd_postgres.lookup.STORED_SECS", 60)
    looking = asyncio.create_task(lookup.apply(readings([[reading(1)]], first=10)))
    await eventually(lambda: any("stockifyd.offsets AS o" in sql for sql in queries))
    assert not looking.done()
    insert = "INSERT INTO stockifyd.offsets (consumer, sink, cluster, topic, partition, next_offset)"
    await asyncio.to_thread(house.sql, f"{insert} VALUES ('storage-group', 'postgres', '{TOPIC.cluster}', 'readings', 0, 10)")
    assert ["room 1"] == [row[3] for row in rows(await looking)]


async def test_ones_own_rows_are_waited_for_up_to_the_batch(opened: Opened, house: Database) -> None:
    """`after` with our own group: the batch itself is not stored yet, and does not wait for itself."""
    lookup = await opened(after={"consumer": "climate"}, consumer="climate")
    insert = "INSERT INTO stockifyd.offsets (consumer, sink, cluster, topic, partition, next_offset)"
    house.sql(f"{insert} VALUES ('climate', 'postgres', '{TOPIC.cluster}', 'readings', 0, 10)")
    assert ["room 1", "room 2"] == [row[3] for row in rows(await lookup.apply(readings([[reading(1)], [reading(2)]], first=10)))]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"from": "sensor"}, "from: there is no table 'sensor', or no right to read it"),
        ({"columns": ["romo"]}, r"columns: 'sensors' has no column 'romo' that may be read \(did you mean 'room'\?\)"),
        ({"match": {"sensor": "floor"}}, r'several rows of .sensors. may match; .* \(there are: "sensor_id"\)'),
        ({"from": "measured", "columns": ["celsius"], "match": {"sensor": "sensor_id"}}, "several rows of 'measured' may match"),
        ({**PAST, "as_of": {"column": "celsius", "time": "at", "within_secs": 1}}, "must be timestamp with time zone"),
    ],
)
async def test_a_table_that_does_not_fit_is_drift(opened: Opened, change: dict[str, Any], reason: str) -> None:
    """Before the first message, with what there is."""
    with pytest.raises(Drift, match=reason):
        await opened({**ROOM, **change})


async def test_a_column_dropped_under_way_is_drift(opened: Opened, house: Database) -> None:
    """An operator must act; nothing is taken for a miss."""
    lookup = await opened()
    house.sql("ALTER TABLE sensors DROP COLUMN floor")
    with pytest.raises(Drift, match="floor"):
        await lookup.apply(readings([[reading(1)]]))


async def test_a_role_without_rights_is_told(house: Database) -> None:
    """The writer was granted nothing on `sensors`."""
    lookup = make_lookup(house.url)
    with pytest.raises(Drift, match="no table 'sensors', or no right to read it"):
        await lookup.open()
    assert ["no right to read it" in finding for finding in await lookup.probe()] == [True]
    await lookup.close()


async def test_a_year_of_days_is_not_searched(opened: Opened, house: Database) -> None:
    """Of a table partitioned by days, the plan names those of the batch alone."""
    house.sql(
        f"""CREATE TABLE daily (sensor_id integer, at timestamptz, celsius double precision, PRIMARY KEY (sensor_id, at))
        PARTITION BY RANGE (at); GRANT SELECT ON daily TO {READER};
        SELECT format('CREATE TABLE daily_%s PARTITION OF daily FOR VALUES FROM (%L) TO (%L)', n, t, t + interval '1 day')
          FROM (SELECT n, '2026-01-01 00:00+00'::timestamptz + n * interval '1 day' AS t FROM generate_series(0, 364) AS n) AS d
        \\gexec
        INSERT INTO daily SELECT 1, '{NOON}', 4.5"""
    )
    lookup = await opened({**PAST, "from": "daily"})
    assert [4.5] == [row[3] for row in rows(await lookup.apply(readings([[reading(1, minute=6)]])))]
    assert lookup._inquiry is not None
    low, high = f"'{NOON - timedelta(minutes=9)}'", f"'{NOON + timedelta(minutes=1)}'"
    sql = lookup._inquiry.sql
    for place, value in enumerate(("ARRAY[1]", f"ARRAY[{low}]", f"ARRAY[{high}]", low, high), start=1):
        sql = sql.replace(f"${place}", value)
    plan = house.sql(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}")
    assert 1 == sum("on daily_" in line for line in plan.splitlines()), plan
