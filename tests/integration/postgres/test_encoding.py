"""Rows encoded by us, beside the same rows by asyncpg's encoder, in real tables."""

from __future__ import annotations

import io
import math
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.fixtures_postgres import Database
from kit.postgres_sink import COLUMNS, EXPIRY, TOPIC, batch_of, now
from stockifyd.api import Receipt, Reject, Row
from stockifyd_postgres import encoding
from stockifyd_postgres.encoding import BLOCK_ROWS, END, KINDS, SIGNATURE, encode
from stockifyd_postgres.values import check

pytestmark = pytest.mark.skipif(encoding._binary is None, reason="_binary was not compiled: there was no C compiler")
IST = timezone(timedelta(hours=5, minutes=30))
FLOATS = (0, -0.0, 1, True, 0.1, -1e-300, 5e-324)
ZONED = (
    *(datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)),
    *(datetime.min.replace(microsecond=1, tzinfo=UTC), datetime.max.replace(microsecond=999998, tzinfo=UTC)),
    *(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
)
EDGES: dict[str, Sequence[Any]] = {
    "smallint": (0, -1, True, -(2**15), 2**15 - 1),
    "integer": (0, -1, False, -(2**31), 2**31 - 1),
    "bigint": (0, -1, True, -(2**63), 2**63 - 1),
    "real": (*FLOATS, 1.17549435e-38, 1e-45, 16777217, 1.6e38),
    "double precision": (*FLOATS, 2**53 + 1, -(2**70), 1.7e308, 2.2250738585072014e-308),
    "boolean": (True, False),
    "timestamp with time zone": (
        *(*ZONED, datetime(2026, 3, 29, 2, 30, tzinfo=IST)),
        *(datetime(1, 1, 1, 5, 30, tzinfo=IST), datetime(9999, 12, 31, 23, tzinfo=IST)),
    ),
    "timestamp without time zone": tuple(time.replace(tzinfo=None) for time in ZONED),
    "date": (date(1999, 12, 31), date(2000, 1, 1), date(1970, 1, 1), date(1, 1, 2), date(9999, 12, 30), date.min, date.max),
    "text": ("", "CE", "₹", "𝄞 and more", "x" * 5000, "\t\n\\N", "e\u0301"),
    "character varying": ("", "é", "NIFTY"),
    "character": ("C", "P"),
}
WILD = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**64), 2**64), st.floats(), st.decimals(), st.text(max_size=3), st.dates()),
    *(st.datetimes(timezones=st.none() | st.just(UTC) | st.just(IST) | st.timezones()),),
)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(database.owner_url, statement_cache_size=0)
    yield connection
    await connection.close()


async def by_asyncpg(connection: asyncpg.Connection[asyncpg.Record], kinds: Sequence[str], rows: list[Row]) -> bytes | str:
    """What the server has after asyncpg's COPY of these rows, in COPY's own form; or the state that it refused them with."""
    names = [f"c{n}" for n in range(len(kinds))]
    check("options", names, dict(zip(names, kinds, strict=True)), rows)
    shape = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))
    await connection.execute(f"DROP TABLE IF EXISTS pg_temp.t; CREATE TEMP TABLE t ({shape})")
    try:
        await connection.copy_records_to_table("t", records=rows, columns=names)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    return await stored(connection)


async def stored(connection: asyncpg.Connection[asyncpg.Record]) -> bytes:
    there = io.BytesIO()
    await connection.copy_from_table("t", output=there, format="binary")
    return there.getvalue()


async def by_us(connection: asyncpg.Connection[asyncpg.Record], blocks: list[bytes]) -> bytes | str:
    """What the server has of what we send, in the same table; or the state that it refused it with."""
    await connection.execute("TRUNCATE t")
    try:
        await connection.copy_to_table("t", source=io.BytesIO(SIGNATURE + b"".join(blocks) + END), format="binary")
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    return await stored(connection)


@pytest.mark.parametrize("kind", KINDS)
async def test_edges_are_sent_as_asyncpg_sends_them(kind: str, owner: Any) -> None:
    """The least, the greatest and the odd of each type, and null, to the byte."""
    rows = [(value,) for value in (*EDGES[kind], None, EDGES[kind][0])]
    blocks = encode([kind], rows)
    assert blocks is not None
    assert await by_asyncpg(owner, [kind], rows) == SIGNATURE + b"".join(blocks) + END


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_what_is_taken_is_sent_as_asyncpg_sends_it(data: st.DataObject, owner: Any) -> None:
    """Whatever arrives, in tables of any columns: never other bytes, and never what the checks refuse."""
    kinds = data.draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3))
    cells = [st.sampled_from([*EDGES[kind], None]) for kind in kinds]
    if data.draw(st.integers(0, 3)) == 0:
        cells[0] |= WILD
    rows = data.draw(st.lists(st.tuples(*cells), min_size=1, max_size=4))
    if (blocks := encode(kinds, rows)) is not None:
        assert await by_asyncpg(owner, kinds, rows) == await by_us(owner, blocks)


async def test_a_text_with_nul_is_refused_alike(owner: Any) -> None:
    """By the server, which names the row; the encoder takes it."""
    blocks = encode(["text"], [("a\0",)])
    assert blocks is not None
    assert await by_asyncpg(owner, ["text"], [("a\0",)]) == await by_us(owner, blocks) == "22021"


async def test_a_type_changed_since_it_was_looked_at(opened: Any, market: Any) -> None:
    """The eight bytes of a bigint would do for a double precision: asked under the lock, and left to asyncpg."""
    sink = await opened()
    await sink.claim({TOPIC: 1})
    market.sql("ALTER TABLE option_contracts ALTER COLUMN oi TYPE double precision")
    assert await sink.write(one(1, oi=1500)) == Receipt(rows=1)
    assert market.sql("SELECT oi FROM option_contracts") == "1500"


async def test_a_column_that_only_asyncpg_knows(opened: Any, market: Any) -> None:
    """Its table goes by asyncpg, checked as before."""
    market.sql("ALTER TABLE option_contracts ALTER COLUMN ltp TYPE numeric(12, 4)")
    sink = await opened()
    await sink.claim({TOPIC: 1})
    assert await sink.write(one(1, ltp=Decimal("1.25"))) == Receipt(rows=1)
    with pytest.raises(Reject) as caught:
        await sink.write(one(2, ltp=math.nan))
    assert (caught.value.table, caught.value.row) == ("options", 0)
    assert market.sql("SELECT ltp FROM option_contracts") == "1.2500"


@pytest.mark.parametrize("bad", [0, 7, BLOCK_ROWS, BLOCK_ROWS + 13])
async def test_the_server_names_the_row_among_rows_of_all_shapes(bad: int, opened: Any, market: Any) -> None:
    """Nulls and texts of other lengths before it do not move it."""
    sink = await opened()
    await sink.claim({TOPIC: 1})
    rows: list[Row] = [(now(), 13, EXPIRY, float(n), "CE", None if n % 3 else 1.0, n) for n in range(BLOCK_ROWS + 20)]
    rows[bad] = (*rows[bad][:4], "neither", *rows[bad][5:])
    with pytest.raises(Reject) as caught:
        await sink.write(batch_of({1: rows}))
    assert (caught.value.table, caught.value.row, caught.value.code) == ("options", bad, "23514")


async def test_encoded_rows_pass_the_staged_way(opened: Any, market: Any) -> None:
    """A temporary table has the columns that the rows were encoded for."""
    sink = await opened(tables={"options": {"into": "option_contracts", "on_conflict": "ignore"}})
    await sink.claim({TOPIC: 1})
    await sink.write(one(1, oi=1))
    batch = batch_of({2: [*one(1, oi=2).tables["options"].rows, *one(2, oi=None).tables["options"].rows]})
    assert await sink.write(batch) == Receipt(rows=1, duplicates=1)
    assert market.sql("SELECT coalesce(oi, -1) FROM option_contracts ORDER BY strike_price") == "1\n-1"


def one(strike: int, **values: Any) -> Any:
    """A batch of one row."""
    given = {"timestamp": now(), "symbol_id": 13, "expiry": EXPIRY, "strike_price": float(strike), "option_type": "CE", **values}
    return batch_of({strike: [tuple(given.get(name) for name in COLUMNS)]})
