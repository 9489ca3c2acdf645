"""Claims, epochs, fencing, gaps and fingerprints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from kit.eventually import eventually
from kit.postgres_sink import TOPIC, make_sink, message, migrate, option_rows, options_batch
from stockifyd.api import Batch, Drift, Fenced, Partition, Receipt, Span
from stockifyd_postgres import eviction

COUNT = "SELECT count(*) FROM option_contracts"


async def test_a_partition_never_seen_is_stored_at_its_start(opened: Any, market: Any) -> None:
    """The start of a spec is durable before the first fetch."""
    sink = await opened()
    assert await sink.claim({TOPIC: 42}) == {TOPIC: 42}
    assert market.sql("SELECT consumer, sink, cluster, topic, partition, next_offset, owner_epoch FROM stockifyd.offsets") == (
        "storage-group|postgres|cluster-of-tests|market.enriched|0|42|1"
    )


async def test_a_second_claim_answers_what_is_stored(opened: Any) -> None:
    """Where to start is decided once."""
    first, second = await opened(), await opened()
    await first.claim({TOPIC: 0})
    await first.write(options_batch(0, 2))
    other = Partition("market.enriched", 1, TOPIC.cluster)
    assert await second.claim({TOPIC: 0, other: 7}) == {TOPIC: 2, other: 7}


async def test_claiming_fences_the_earlier_owner(opened: Any, market: Any) -> None:
    """After a claim the one before cannot write any more; the error names the new owner."""
    first, second = await opened(), await opened()
    await first.claim({TOPIC: 0})
    await second.claim({TOPIC: 0})
    with pytest.raises(Fenced, match=r"belongs to .* since epoch 2"):
        await first.write(options_batch(0, 1))
    assert await second.write(options_batch(0, 1)) == Receipt(rows=4)
    assert market.sql(COUNT) == "4"


async def test_of_two_writers_one_commits(opened: Any, market: Any) -> None:
    """Two that write the same span at once: one is durable, the other is told; no row twice."""
    market.sql("ALTER TABLE option_contracts DROP CONSTRAINT option_contracts_pkey")
    first, second = await opened(), await opened()
    await first.claim({TOPIC: 0})
    second.store.ledger.epochs = dict(first.store.ledger.epochs)  # epochs may repeat after a failover: next_offset alone must do
    batch = options_batch(0, 20, rows=100)
    answers = await asyncio.gather(first.write(batch), second.write(batch), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Fenced", "Receipt"]
    assert market.sql(COUNT) == "2000"


async def test_lanes_own_different_partitions(opened: Any, market: Any) -> None:
    """Two sinks of one name in one process do not disturb each other."""
    one, two = TOPIC, TOPIC._replace(number=1)
    first, second = await opened(), await opened()
    await first.claim({one: 0})
    await second.claim({two: 0})
    rows = options_batch(10, 1, partition=two)
    moved = Batch(rows.messages, rows.tables, advance={two: Span(0, 11)})
    await asyncio.gather(first.write(options_batch(0, 1)), second.write(moved))
    assert await first.stored([one, two]) == {one: 1, two: 11}


async def test_a_claim_evicts_a_stuck_earlier_owner(opened: Any, market: Any, caplog: pytest.LogCaptureFixture) -> None:
    """An owner that hangs between its swap and COMMIT holds the offset's lock: the claim ends it, and says so."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    zombie = await asyncpg.connect(market.url, statement_cache_size=0)
    await zombie.execute("BEGIN; SET LOCAL application_name = 'stockifyd storage-group/postgres'")
    await zombie.execute("UPDATE stockifyd.offsets SET next_offset = 99")
    assert await sink.claim({TOPIC: 0}) == {TOPIC: 0}
    assert "ended a stuck transaction of an earlier owner" in caplog.text
    zombie.terminate()


async def test_a_write_evicts_a_stuck_earlier_owner(opened: Any, market: Any) -> None:
    """One that hangs with uncommitted keys blocks COPY: it is ended, and the batch is stored."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    batch = options_batch(0, 4, rows=500)
    zombie = await asyncpg.connect(market.url, statement_cache_size=0)
    await zombie.execute("BEGIN; SET LOCAL application_name = 'stockifyd storage-group/postgres'")
    table = batch.tables["options"]
    await zombie.copy_records_to_table("option_contracts", columns=table.columns, records=table.rows)
    assert await sink.write(batch) == Receipt(rows=2000)
    zombie.terminate()


@pytest.mark.parametrize(
    ("name", "ends"), [("stockifyd storage-group/postgres", True), ("stockifyd other-group/postgres", False)]
)
async def test_a_copy_that_was_left_behind_is_ended(
    opened: Any, market: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, name: str, ends: bool
) -> None:
    """A COPY whose client stands still outlives the server's timeouts; who looks at the ledger ends it, if it is our own."""
    monkeypatch.setattr(eviction, "GRACE_SECS", 0.5)
    monkeypatch.setattr(eviction, "EVERY_SECS", 0)
    sink = await opened(statement_timeout_ms=500)
    of_age = "query_start < clock_timestamp() - interval '2 s'"
    old = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY \"still\"%' AND {of_age}"
    zombie = await asyncpg.connect(market.url, statement_cache_size=0)
    await zombie.execute(f"BEGIN; SET LOCAL application_name = '{name}'; SET LOCAL statement_timeout = 500")
    await zombie.execute("CREATE TEMP TABLE still (n int) ON COMMIT DROP")
    copying = asyncio.ensure_future(zombie.copy_to_table("still", source=_never()))
    await eventually(lambda: market.sql(old) == "1")
    await sink.stored([TOPIC])
    assert ("that an earlier owner left behind" in caplog.text) == ends
    await eventually(lambda: market.sql(old) == ("0" if ends else "1"))
    zombie.terminate()
    await asyncio.wait({copying}, timeout=1)
    copying.cancel()


async def _never() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def test_a_stranger_is_not_evicted(opened: Any, market: Any) -> None:
    """A lock of another application is waited for, and then said; nobody else's work is ended."""
    from stockifyd.api import Unavailable

    sink = await opened(lock_timeout_ms=2500)
    await sink.claim({TOPIC: 0})
    stranger = await asyncpg.connect(market.url, statement_cache_size=0)
    await stranger.execute("BEGIN; UPDATE stockifyd.offsets SET next_offset = next_offset")
    with pytest.raises(Unavailable, match="locked"):
        await sink.claim({TOPIC: 0})
    assert await stranger.fetchval("SELECT 1") == 1
    stranger.terminate()


async def test_the_last_message_is_recognised(opened: Any) -> None:
    """The message that was stored last raises nothing; another in its place is Drift."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    await sink.write(options_batch(0, 2))
    await sink.claim({TOPIC: 0})
    await sink.recognise([message(1)])
    await sink.recognise([message(7), message(1, TOPIC._replace(number=9))])  # not the last stored: unknown
    with pytest.raises(Drift, match="made anew"):
        await sink.recognise([message(1, raw=b"another")])
    with pytest.raises(Drift, match="made anew"):
        await sink.recognise([msgspec.structs.replace(message(1), timestamp_ms=5)])


async def test_a_gap_is_recorded_and_gone_over(opened: Any, market: Any) -> None:
    """Offsets that retention took are a row of stockifyd.gaps."""
    sink = await opened()
    await sink.claim({TOPIC: 3})
    await sink.skip(TOPIC, Span(3, 9), "retention overtook us")
    assert market.sql("SELECT from_offset, to_offset, reason FROM stockifyd.gaps") == "3|9|retention overtook us"
    assert await sink.stored([TOPIC]) == {TOPIC: 9}


async def test_a_gap_of_a_lost_partition_is_fenced(opened: Any, market: Any) -> None:
    """Who does not own it records nothing."""
    first, second = await opened(), await opened()
    await first.claim({TOPIC: 3})
    await second.claim({TOPIC: 3})
    with pytest.raises(Fenced):
        await first.skip(TOPIC, Span(3, 9), "retention overtook us")
    assert market.sql("SELECT count(*) FROM stockifyd.gaps") == "0"


async def test_a_ledger_copied_elsewhere_is_drift(opened: Any, market: Any) -> None:
    """A ledger that began in another database halts, until migrate is told to accept it."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    market.sql("UPDATE stockifyd.ledgers SET system_identifier = '1'")
    with pytest.raises(Drift, match="began in") as caught:
        await sink.claim({TOPIC: 0})
    assert "--accept-database" in caught.value.hint
    await migrate(market, make_sink(market), accept_database=True)
    assert await sink.claim({TOPIC: 0}) == {TOPIC: 0}


async def test_claiming_nothing_is_nothing(opened: Any) -> None:
    """An empty claim answers at once."""
    assert await (await opened()).claim({}) == {}


async def test_row_keys_do_not_meet_between_messages() -> None:
    """The rows of these tests are distinct: what they say of duplicates means something."""
    rows = [row for offset in range(50) for row in option_rows(offset, 10)]
    assert len({(row[0], row[3], row[4]) for row in rows}) == 500
