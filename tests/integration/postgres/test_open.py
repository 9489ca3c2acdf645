"""What the sink sees when it opens: the pooler, the catalogue, the rights."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from kit.fixtures_postgres import WRITER, Database
from kit.pgbouncer import PgBouncer
from kit.postgres_sink import LOG, MARKET, TOPIC, batch_of, make_sink, migrate, option_rows, options_batch
from stockifyd.api import Context, Drift, Receipt, Unavailable
from stockifyd_postgres.sink import Postgres


async def test_the_greeting_names_pooler_and_mode(opened: Any, market: Any, caplog: Any) -> None:
    """An operator reads how the primary is reached."""
    caplog.set_level(logging.INFO)
    await opened()
    assert f"✓ Database connected: primary through 127.0.0.1:{market.pooler.port} (transaction pooling)" in caplog.messages


async def test_a_direct_connection_is_recognised(opened: Any, market: Any, caplog: Any) -> None:
    """Without a pooler the line says so."""
    caplog.set_level(logging.INFO)
    await opened(url=market.direct_url)
    assert f"✓ Database connected: primary at 127.0.0.1:{market.server.port}" in caplog.messages


@pytest.mark.parametrize("size", ["1", "5"])
async def test_session_pooling_is_recognised_and_works(opened: Any, market: Any, caplog: Any, size: str) -> None:
    """A pooler by session is told from one by transaction; `doctor` has a finding."""
    caplog.set_level(logging.INFO)
    with PgBouncer(market.server, mode="session", settings={"default_pool_size": size}) as pooler:
        sink = await opened(url=pooler.url(market.name, user=WRITER))
        assert any("(session pooling)" in line for line in caplog.messages)
        await sink.claim({TOPIC: 0})
        assert await sink.write(options_batch(0, 1)) == Receipt(rows=4)
        await sink.close()
        assert any("pools by session" in finding for finding in await sink.probe())


async def test_a_pool_of_one_server_works(opened: Any, market: Any, caplog: Any) -> None:
    """Two sinks share one server connection."""
    caplog.set_level(logging.INFO)
    with PgBouncer(market.server, settings={"default_pool_size": "1"}) as pooler:
        first = await opened(url=pooler.url(market.name, user=WRITER))
        second = await opened(url=pooler.url(market.name, user=WRITER))
        assert sum("(transaction pooling)" in line for line in caplog.messages) == 2
        await first.claim({TOPIC: 0})
        assert await first.write(options_batch(0, 1)) == Receipt(rows=4)
        assert await second.stored([TOPIC]) == {TOPIC: 1}
        await first.close()
        await second.close()


async def test_statement_pooling_is_refused_with_its_cure(market: Any) -> None:
    """No transaction can pass such a pooler."""
    with PgBouncer(market.server, mode="statement") as pooler:
        sink = make_sink(pooler.url(market.name, user=WRITER))
        with pytest.raises(Drift, match="by statement") as caught:
            await sink.open()
        assert "pool_mode = transaction" in caught.value.hint
        await sink.close()


async def test_a_wrong_password_is_drift_and_not_printed(market: Any) -> None:
    """The pooler refuses us: an operator must act, and sees no secret."""
    sink = make_sink(market.url.replace("secret-of-tests", "wrong-secret"))
    with pytest.raises(Drift) as caught:
        await sink.open()
    assert "wrong-secret" not in f"{caught.value} {caught.value.hint} {sink.config}"


async def test_a_database_that_is_away_is_unavailable() -> None:
    """Nobody listens: it is tried again for ever."""
    sink = make_sink("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await sink.open()
    await sink.close()


async def test_an_empty_database_names_the_cure(database: Database) -> None:
    """Nothing was migrated: halted before the first fetch, with the command."""
    sink = make_sink(database)
    with pytest.raises(Drift, match="schema 'stockifyd'") as caught:
        await sink.open()
    assert "stockifyd migrate" in caught.value.hint
    assert "there is no table 'option_contracts'" in caught.value.reason


async def test_all_mismatches_are_told_at_once(database: Database) -> None:
    """Tables, columns and rights, each with a guess at what was meant."""
    database.sql("CREATE TABLE option_contracts(timestmp timestamptz, strike int NOT NULL); CREATE TABLE plain(x int)")
    tables = {
        "options": {"into": "option_contracts", "columns": ["timestamp"]},
        "more": {"into": "option_contract"},
        "plain": {"into": "plain", "on_conflict": "ignore"},
    }
    sink = make_sink(database, tables=tables)
    await migrate(database, make_sink(database, tables={"x": {"into": "instruments"}}))
    with pytest.raises(Drift) as caught:
        await sink.open()
    for words in (
        "has no column 'timestamp' (did you mean 'timestmp'?)",
        "column 'strike' of 'option_contracts' must not be null, and is not written",
        "there is no table 'option_contract' (did you mean 'option_contracts'?)",
        "the role has no INSERT on 'option_contracts'",
        "on_conflict: ignore needs a unique key of 'plain'",
    ):
        assert words in caught.value.reason


async def test_columns_that_arrive_are_compared(market: Any) -> None:
    """Where the transforms say what they make, it is checked before the first batch."""
    made = make_sink(market)
    context = Context("storage", "postgres", LOG, tables={"options": ("timestamp", "symbolid")})
    sink = Postgres(made.config, context)
    with pytest.raises(Drift, match=r"no column 'symbolid' \(did you mean 'symbol_id'\?\)"):
        await sink.open()
    await sink.close()


async def test_a_table_that_does_not_arrive_is_drift(opened: Any) -> None:
    """Batches without a configured table halt, with a guess."""
    sink = await opened(tables={"option": MARKET["options"]})
    await sink.claim({TOPIC: 0})
    with pytest.raises(Drift, match=r"no such table arrives \(did you mean 'options'\?\)"):
        await sink.write(options_batch(0, 1))


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("ALTER TABLE option_contracts RENAME oi TO open_interest", "ALTER TABLE option_contracts RENAME open_interest TO oi"),
        (f"REVOKE INSERT ON option_contracts FROM {WRITER}", f"GRANT INSERT ON option_contracts TO {WRITER}"),
        (f"REVOKE UPDATE ON stockifyd.offsets FROM {WRITER}", f"GRANT UPDATE ON stockifyd.offsets TO {WRITER}"),
        (
            "ALTER TABLE option_contracts ALTER oi TYPE text",
            "ALTER TABLE option_contracts ALTER oi TYPE bigint USING oi::bigint",
        ),
        (
            "DELETE FROM option_contracts; ALTER TABLE option_contracts ADD must int NOT NULL",
            "ALTER TABLE option_contracts DROP must",
        ),
    ],
)
async def test_what_changes_while_we_run_halts(opened: Any, market: Any, change: str, back: str) -> None:
    """A changed table or right is Drift, never a dead letter; after the fix the same object goes on."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    await sink.write(options_batch(0, 1))
    market.sql(change)
    with pytest.raises(Drift):
        await sink.write(options_batch(1, 1))
    market.sql(back)
    await sink.open()
    assert await sink.write(options_batch(1, 1)) == Receipt(rows=4)


async def test_a_type_that_became_wider_is_noticed(opened: Any, market: Any) -> None:
    """Our own check of values knows the old type: it looks again before it rejects."""
    sink = await opened()
    await sink.claim({TOPIC: 0})
    market.sql("ALTER TABLE option_contracts ALTER oi TYPE float8")
    rows = [(*row[:6], 2.5) for row in option_rows(0, 2)]
    with pytest.raises(Drift, match="changed while"):
        await sink.write(batch_of({0: rows}))
    assert await sink.write(batch_of({0: rows})) == Receipt(rows=2)


async def test_the_time_column_of_a_hypertable_is_known(opened: Any, database: Database) -> None:
    """TimescaleDB's catalogue tells it; here a view stands in its place."""
    database.sql(
        "CREATE SCHEMA timescaledb_information; GRANT USAGE ON SCHEMA timescaledb_information TO PUBLIC;"
        "CREATE VIEW timescaledb_information.dimensions AS"
        " SELECT 'public'::name AS hypertable_schema, 'h'::name AS hypertable_name,"
        " 1::bigint AS dimension_number, 'Time'::text AS dimension_type, 'at'::name AS column_name;"
        "GRANT SELECT ON timescaledb_information.dimensions TO PUBLIC;"
        "CREATE TABLE h(at timestamptz); GRANT ALL ON h TO PUBLIC"
    )
    sink = await opened(tables={"options": {"into": "h"}})
    assert sink.store.loader.targets["options"].time_column == "at"
