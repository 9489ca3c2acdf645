"""Rows, dead letters and offsets: one transaction."""

from __future__ import annotations

import zlib
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from kit.postgres_sink import TOPIC, batch_of, make_sink, message, now, option_rows, options_batch
from kit.turns import turns_beside
from stockifyd.api import Batch, DeadLetter, Drift, Fenced, Partition, Receipt, Reject, Span
from stockifyd_postgres.encoding import BLOCK_ROWS
from stockifyd_postgres.loads import Loader

COUNT = "SELECT count(*) FROM option_contracts"
OFFSETS = "SELECT next_offset, last_offset, last_crc FROM stockifyd.offsets"


async def test_rows_and_offsets_go_together(opened: Any, market: Any) -> None:
    """A written batch is rows and a moved offset with the last message's fingerprint."""
    sink = await opened()
    assert await sink.claim({TOPIC: 5}) == {TOPIC: 5}
    assert await sink.write(options_batch(5, 3)) == Receipt(rows=12)
    assert market.sql(COUNT) == "12"
    crc = zlib.crc32(b'{"n": 7}')
    assert market.sql(OFFSETS) == f"8|7|{crc}"
    assert await sink.stored([TOPIC, Partition("unknown")]) == {TOPIC: 8}


async def test_it_says_when_rows_are_sent(opened: Any) -> None:
    """Once a batch, with the last table: the runtime makes the next one then."""
    sink, said = await opened(), list[str]()
    sink.on_sent = lambda: said.append("sent")
    await sink.claim({TOPIC: 0})
    for n in range(3):
        await sink.write(options_batch(n, 1))
    assert ["sent"] * 3 == said


async def test_what_was_prepared_is_what_is_sent(opened: Any, market: Any) -> None:
    """Encoded once, ahead; a batch that is tried again while the next is prepared is encoded anew."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    first, second = options_batch(0, 2), options_batch(2, 3)
    with patch.object(Loader, "loads", autospec=True, side_effect=Loader.loads) as loads:
        await sink.prepare(first)
        assert await sink.write(first) == Receipt(rows=8)
        await sink.prepare(second)
        with pytest.raises(Fenced):
            await sink.write(first)
        assert await sink.write(second) == Receipt(rows=12)
    assert [first, second, first] == [call.args[1] for call in loads.call_args_list]
    assert market.sql(COUNT) == "20"
    assert market.sql("SELECT next_offset, last_offset FROM stockifyd.offsets") == "5|4"


async def test_the_loop_runs_while_it_prepares(opened: Any) -> None:
    """The batch before is being sent: others have a turn after every block."""
    sink = await opened()
    assert await turns_beside(sink.prepare(options_batch(0, 1, rows=4 * BLOCK_ROWS))) >= 4


async def test_what_was_prepared_for_another_shape_is_made_again(opened: Any, market: Any) -> None:
    """A refusal has the tables looked at anew: what was encoded for the ones before is not sent."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    bad, good = batch_of({0: [("not", "a", "row")]}), options_batch(0, 2)
    await sink.prepare(good)
    before = sink.store.loader
    with pytest.raises(Reject):
        await sink.write(bad)
    assert sink.store.loader is not before
    assert await sink.write(good) == Receipt(rows=8)
    assert market.sql(COUNT) == "8"


async def test_values_come_back_as_they_went(opened: Any, market: Any) -> None:
    """Every column holds what was written."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    await sink.write(batch_of({0: option_rows(0, 2)}))
    found = market.sql(
        "SELECT symbol_id, expiry, strike_price, option_type, ltp, oi, bid IS NULL FROM option_contracts ORDER BY 4"
    )
    assert found.splitlines() == ["13|2026-11-26|20000|CE|100.5|0|t", "13|2026-11-26|20000|PE|100.5|25|t"]


async def test_an_advance_without_messages_moves_the_offset(opened: Any, market: Any) -> None:
    """Control records are gone over; the fingerprint stays that of the last message."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    await sink.write(options_batch(0, 1))
    assert await sink.write(Batch((), advance={TOPIC: Span(1, 4)})) == Receipt()
    assert market.sql("SELECT next_offset, last_offset FROM stockifyd.offsets") == "4|0"


async def test_an_empty_advance_swaps_nothing(opened: Any, market: Any) -> None:
    """Without a span the rows are written, and no offset moves."""
    sink = await opened()
    batch = options_batch(0, 1)
    assert await sink.write(Batch(batch.messages, batch.tables)) == Receipt(rows=4)
    assert market.sql("SELECT count(*) FROM stockifyd.offsets") == "0"


async def test_dead_letters_are_stored_with_the_rows(opened: Any, market: Any) -> None:
    """A rejected message is a dead letter with payload, reason and headers; once, though it comes twice."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    bad = DeadLetter(message(1, raw=b"\xff\x00bad"), "price is\0nonsense", "check", "22003", 7)
    await sink.write(Batch((), rejected=(bad, bad), advance={TOPIC: Span(0, 2)}))
    found = market.sql(
        'SELECT "offset", row_idx, error_class, sqlstate, stage, reason, payload, headers FROM stockifyd.dead_letters'
    )
    assert found == r"1|7|POISON|22003|check|price is\0nonsense|\xff00626164|[]"
    assert market.sql("SELECT next_offset FROM stockifyd.offsets") == "2"


async def test_rows_dead_letters_and_offsets_are_of_one_transaction(opened: Any, market: Any) -> None:
    """The server says so itself: every row bears the id of the transaction that wrote it."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    good = options_batch(0, 2)
    bad = DeadLetter(message(2, raw=b"bad"), "bad", "check")
    await sink.write(Batch(good.messages, good.tables, rejected=(bad,), advance={TOPIC: Span(0, 3)}))
    found = market.sql(
        "SELECT count(DISTINCT x), count(*) FROM (SELECT xmin::text AS x FROM option_contracts"
        " UNION ALL SELECT xmin::text FROM stockifyd.dead_letters UNION ALL SELECT xmin::text FROM stockifyd.offsets) t"
    )
    assert found == "1|10"


async def test_two_tables_in_one_batch(opened: Any, database: Any) -> None:
    """Each configured table goes into its own target."""
    database.sql("CREATE TABLE a(x int, t text); CREATE TABLE b(x int); GRANT ALL ON a, b TO PUBLIC")
    tables = {"one": {"into": "a"}, "two": {"into": "public.b", "columns": ["x"]}}
    sink = await opened(tables=tables)
    await sink.claim({TOPIC: 0})
    batch = Batch((message(0),), advance={TOPIC: Span(0, 1)})
    batch = batch.flatten("one", ("x", "t"), lambda m: [(1, "a"), (2, "b")]).flatten("two", ("y", "x"), lambda m: [("no", 3)])
    assert await sink.write(batch) == Receipt(rows=3)
    assert database.sql("SELECT * FROM a; SELECT * FROM b").splitlines() == ["1|a", "2|b", "3"]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("symbol_id", 1.5, "not a whole number"),
        ("symbol_id", 2**40, "out of range"),
        ("oi", 2**63, "out of range"),
        ("ltp", float("nan"), "not a finite number"),
        ("ltp", "12", "not a number"),
        ("timestamp", now().replace(tzinfo=None), "without a zone"),
        ("timestamp", None, "not a time"),
        ("expiry", "2026-11-26", "not a date"),
        ("expiry", now(), "not a date"),
        ("option_type", "C\0E", "22021"),
        ("option_type", "C\ud800", "surrogate"),
        ("option_type", "XX", "23514"),
        ("symbol_id", None, "23502"),
    ],
)
async def test_a_poison_row_is_named(opened: Any, market: Any, column: str, value: Any, words: str) -> None:
    """A row that cannot be stored is a Reject that names its table and row, and nothing is stored."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    batch = options_batch(0, 3, rows=2)
    columns = batch.tables["options"].columns
    spoilt = tuple(value if name == column else v for name, v in zip(columns, batch.tables["options"].rows[3], strict=True))
    batch.tables["options"].rows[3] = spoilt
    with pytest.raises(Reject, match=words) as caught:
        await sink.write(batch)
    assert (caught.value.table, caught.value.row) == ("options", 3)
    assert market.sql(COUNT) == "0"
    assert await sink.stored([TOPIC]) == {TOPIC: 0}
    assert await sink.write(batch.reject({1: caught.value})) == Receipt(rows=4)
    assert market.sql(COUNT + '; SELECT "offset" FROM stockifyd.dead_letters').splitlines() == ["4", "1"]


async def test_a_whole_number_is_fine_where_a_float_is_wanted(opened: Any, market: Any) -> None:
    """int for float8 is taken."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    row = list(option_rows(0, 1)[0])
    row[5] = 100
    assert await sink.write(batch_of({0: [tuple(row)]})) == Receipt(rows=1)


async def test_a_reason_holds_no_row_data(opened: Any, database: Any) -> None:
    """What the server quotes of a row is left out of the reason."""
    database.sql("CREATE TABLE a(x numeric(3,0), j json); GRANT ALL ON a TO PUBLIC")
    sink = await opened(tables={"one": {"into": "a"}})
    await sink.claim({TOPIC: 0})
    batch = Batch((message(0),), advance={TOPIC: Span(0, 1)}).flatten("one", ("x", "j"), lambda m: [(1, "verysecret")])
    with pytest.raises(Reject) as caught:
        await sink.write(batch)
    assert "verysecret" not in str(caught.value)


async def test_foreign_keys_are_tried_thrice_then_poison(opened: Any, database: Any) -> None:
    """What a row refers to may come a moment later; after three tries the row is at fault."""
    from stockifyd.api import Retry

    database.sql("CREATE TABLE p(x int PRIMARY KEY); CREATE TABLE a(x int REFERENCES p); GRANT ALL ON a, p TO PUBLIC")
    sink = await opened(tables={"one": {"into": "a"}})
    await sink.claim({TOPIC: 0})
    batch = Batch((message(0),), advance={TOPIC: Span(0, 1)}).flatten("one", ("x",), lambda m: [(1,)])
    for _ in range(2):
        with pytest.raises(Retry):
            await sink.write(batch)
    with pytest.raises(Reject):
        await sink.write(batch)
    database.sql("INSERT INTO p VALUES (1)")
    assert await sink.write(batch) == Receipt(rows=1)


async def test_a_day_without_partition_is_made_before_copy(opened: Any, market: Any) -> None:
    """A new plausible day gets its partition: midnight is a non-event."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    long_ago = now() - timedelta(days=40)
    await sink.write(batch_of({0: option_rows(0, 2, at=long_ago)}))
    assert market.sql(f"SELECT count(*) FROM option_contracts_{long_ago:%Y%m%d}") == "2"


async def test_a_partition_dropped_meanwhile_is_made_again(opened: Any, market: Any) -> None:
    """The sink believed it to be there; the server's refusal makes it look again."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    await sink.write(options_batch(0, 1))
    market.sql(f"DROP TABLE option_contracts_{now():%Y%m%d}")
    assert await sink.write(options_batch(1, 1)) == Receipt(rows=4)


@pytest.mark.parametrize("days", [-4000, 5])
async def test_an_implausible_time_is_rejected(opened: Any, market: Any, days: int) -> None:
    """No partition is made for nonsense; the row is named."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    with pytest.raises(Reject, match="is not between") as caught:
        await sink.write(batch_of({0: option_rows(0, 2), 1: option_rows(1, 2, at=now() + timedelta(days=days))}))
    assert (caught.value.table, caught.value.row) == ("options", 2)


async def test_a_partitioned_table_of_somebody_else_is_drift(opened: Any, database: Any) -> None:
    """A partition that is missing and not ours to make halts; it never drains the stream into dead letters."""
    database.sql("CREATE TABLE a(at timestamptz) PARTITION BY RANGE (at); GRANT ALL ON a TO PUBLIC")
    sink = await opened(tables={"one": {"into": "a"}})
    await sink.claim({TOPIC: 0})
    with pytest.raises(Drift, match="no partition"):
        await sink.write(Batch((message(0),), advance={TOPIC: Span(0, 1)}).flatten("one", ("at",), lambda m: [(now(),)]))


async def test_a_batch_that_is_not_at_the_ledger_is_fenced(opened: Any, market: Any) -> None:
    """A base that the ledger is not at is Fenced, and leaves nothing."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    with pytest.raises(Fenced, match="is at 0"):
        await sink.write(options_batch(3, 1))
    assert market.sql(COUNT) == "0"


async def test_wide_batches_are_copied_in_parts(opened: Any, market: Any) -> None:
    """Row numbers hold beyond the first COPY."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    batch = options_batch(0, 50, rows=500)
    rows = batch.tables["options"].rows
    rows[24_000] = (*rows[24_000][:4], "XX", *rows[24_000][5:])
    with pytest.raises(Reject) as caught:
        await sink.write(batch)
    assert caught.value.row == 24_000
    assert await sink.write(batch.reject({48: caught.value})) == Receipt(rows=24_500)


async def test_writing_before_open_says_so(market: Any) -> None:
    """A sink that is not open is Unavailable, not a crash."""
    from stockifyd.api import Unavailable

    with pytest.raises(Unavailable, match="not open"):
        await make_sink(market).stored([TOPIC])
