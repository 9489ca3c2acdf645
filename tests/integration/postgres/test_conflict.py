"""A key that is already there: error, ignore, update."""

from __future__ import annotations

from typing import Any

import pytest

from kit.postgres_sink import COLUMNS, TOPIC, batch_of, make_sink, migrate, option_rows, options_batch
from stockifyd.api import Drift, Fenced, Receipt

COUNT = "SELECT count(*) FROM option_contracts"


def tables(on_conflict: str, **more: Any) -> dict[str, Any]:
    return {"options": {"into": "option_contracts", "on_conflict": on_conflict, **more}}


async def test_error_is_drift_and_stores_nothing(opened: Any, market: Any) -> None:
    """By default a duplicate halts: somebody else writes, or upstream repeats."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    await sink.write(options_batch(0, 1))
    with pytest.raises(Drift, match="23505") as caught:
        await sink.write(batch_of({1: option_rows(1, 2), 2: option_rows(0, 4)}))
    assert "on_conflict" in caught.value.hint
    assert market.sql(COUNT) == "4"


async def test_ignore_keeps_the_old_row_and_counts(opened: Any, market: Any) -> None:
    """Duplicates are counted, the others stored, the old values stay."""
    sink = await opened(tables=tables("ignore"))
    await sink.claim({TOPIC: 0})
    await sink.write(options_batch(0, 1))
    changed = [(*row[:5], 999.0, row[6]) for row in option_rows(0, 4)]
    assert await sink.write(batch_of({1: changed, 2: option_rows(2, 4)})) == Receipt(rows=4, duplicates=4)
    assert market.sql(COUNT + " WHERE ltp = 999") == "0"
    assert market.sql(COUNT) == "8"


async def test_update_takes_the_new_row(opened: Any, market: Any) -> None:
    """The last of equal keys wins, in the batch too."""
    wanted = tables("update", key=["symbol_id", "expiry", "strike_price", "option_type", "timestamp"])
    await migrate(market, make_sink(market, tables=wanted))
    sink = await opened(tables=wanted)
    await sink.claim({TOPIC: 0})
    await sink.write(options_batch(0, 1))
    first = [(*row[:5], 1.0, row[6]) for row in option_rows(0, 4)]
    second = [(*row[:5], 2.0, row[6]) for row in option_rows(0, 4)]
    assert await sink.write(batch_of({1: first, 2: second})) == Receipt(rows=4, duplicates=4)
    assert market.sql("SELECT DISTINCT ltp FROM option_contracts") == "2"


async def test_after_a_conflict_a_hundred_batches_are_staged(opened: Any, market: Any) -> None:
    """A replay does not fail every COPY first; then the straight way is tried again."""
    sink = await opened(tables=tables("ignore"))
    await sink.claim({TOPIC: 0})
    await sink.write(options_batch(0, 1))
    await sink.write(batch_of({1: option_rows(0, 4)}))
    assert sink.store.writer.staged("options")
    for offset in range(2, 102):
        assert await sink.write(batch_of({offset: option_rows(offset, 1)})) == Receipt(rows=1)
    assert not sink.store.writer.staged("options")


async def test_a_poison_row_is_named_on_the_staged_way(opened: Any) -> None:
    """What COPY into the temporary table refuses has a row; what INSERT refuses has at least its table."""
    from stockifyd.api import Reject

    sink = await opened(tables=tables("ignore"))
    await sink.claim({TOPIC: 0})
    sink.store.writer.stage("options")
    bad = [
        tuple("C\0" if name == "option_type" else v for name, v in zip(COLUMNS, row, strict=True)) for row in option_rows(1, 1)
    ]
    with pytest.raises(Reject) as caught:
        await sink.write(batch_of({0: option_rows(0, 3), 1: bad}))
    assert (caught.value.table, caught.value.row) == ("options", 3)
    worse = [
        tuple("XX" if name == "option_type" else v for name, v in zip(COLUMNS, row, strict=True)) for row in option_rows(1, 1)
    ]
    with pytest.raises(Reject) as caught:
        await sink.write(batch_of({0: option_rows(0, 3), 1: worse}))
    assert (caught.value.table, caught.value.row) == ("options", None)


async def test_a_conflict_because_another_owner_wrote_is_fenced(opened: Any, market: Any) -> None:
    """The ledger is asked before the conflict path: a fenced owner must not merge."""
    first, second = await opened(), await opened()
    await first.claim({TOPIC: 0})
    await second.claim({TOPIC: 0})
    await second.write(options_batch(0, 1))
    with pytest.raises(Fenced):
        await first.write(options_batch(0, 1))


async def test_a_key_that_is_not_unique_is_refused(opened: Any) -> None:
    """on_conflict needs a unique key, and says so before the first fetch."""
    with pytest.raises(Drift, match="needs a unique key over symbol_id"):
        await opened(tables=tables("ignore", key=["symbol_id"]))


async def test_a_temporary_table_ends_with_its_transaction(opened: Any, market: Any) -> None:
    """Nothing stays on the server's connection that the pooler gives to another."""
    sink = await opened(tables=tables("ignore"))
    await sink.claim({TOPIC: 0})
    sink.store.writer.stage("options")
    for offset in range(3):
        await sink.write(options_batch(offset, 1))
    assert market.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'stockifyd_stage%'") == "0"
