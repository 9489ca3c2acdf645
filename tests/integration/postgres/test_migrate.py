"""`stockifyd migrate` on a real server: idempotent, under an owner, enough for a writer without DDL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kit.fixtures_postgres import READER, WRITER, Database
from kit.postgres_sink import components, make_sink, now
from stockifyd.api import Drift
from stockifyd_postgres.commands import migrate_command

BOTH = {
    "snapshots": {"into": "market_snapshots", "on_conflict": "ignore"},
    "options": {"into": "option_contracts", "on_conflict": "update"},
}


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "storage.yaml").write_text("version: 1\n")
    return str(tmp_path / "storage.yaml")


def invoke(database: Database, spec: str, *arguments: str, tables: Any = None) -> Result:
    sink = make_sink(database, tables=tables or BOTH)
    result = CliRunner().invoke(migrate_command(lambda _: components(sink)), [spec, *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_twice_is_as_good_as_once(database: Database, spec: str) -> None:
    """The first run says what it made, the second has nothing to make."""
    first = invoke(database, spec, "--url", database.owner_url)
    second = invoke(database, spec, "--url", database.owner_url)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "migrations/001_ledger" in first.output
    assert "tables/public.option_contracts" in first.output
    assert second.output.splitlines() == [f"✓ 127.0.0.1:{database.server.port}/{database.name} is ready"]


def test_the_owner_comes_from_the_environment(database: Database, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DATABASE_OWNER_URL stands for --url."""
    monkeypatch.setenv("DATABASE_OWNER_URL", database.owner_url)
    assert invoke(database, spec).exit_code == 0


def test_the_writer_needs_no_ddl(database: Database, spec: str) -> None:
    """After migrate a writer role without DDL opens the sink, and may not create a table."""
    import asyncio

    invoke(database, spec, "--url", database.owner_url)
    sink = make_sink(database, tables=BOTH)
    asyncio.run(_open_and_close(sink))
    assert (
        database.server.sql("SELECT has_schema_privilege(current_user, 'public', 'CREATE')", database=database.name, user=WRITER)
        == "f"
    )
    with pytest.raises(RuntimeError, match="permission denied"):
        database.server.sql("CREATE TABLE stockifyd.x(y int)", database=database.name, user=WRITER)


async def _open_and_close(sink: Any) -> None:
    await sink.open()
    await sink.close()


def test_partitions_of_these_days_are_there(database: Database, spec: str) -> None:
    """Today and two days either way, of both tables; no default partition."""
    invoke(database, spec, "--url", database.owner_url)
    found = database.sql(
        "SELECT count(*), count(*) FILTER (WHERE relname LIKE '%\\_' || to_char(now(), 'YYYYMMDD'))"
        " FROM pg_class WHERE relispartition AND relkind = 'r'"
    )
    assert found == "10|2"


def test_ensure_day_takes_allowed_tables_alone(database: Database, spec: str) -> None:
    """The function runs as its owner: it must not be a way to DDL on others."""
    invoke(database, spec, "--url", database.owner_url)
    database.sql("CREATE TABLE other(at timestamptz) PARTITION BY RANGE (at)")
    with pytest.raises(RuntimeError, match="gets no partitions by day"):
        database.server.sql("SELECT stockifyd.ensure_day('other', '2026-01-01')", database=database.name, user=WRITER)
    with pytest.raises(RuntimeError, match="permission denied"):
        database.server.sql("SELECT stockifyd.ensure_day('option_contracts', '2026-01-01')", database=database.name, user=READER)


def test_ensure_day_waits_for_no_writer(database: Database, spec: str) -> None:
    """A partition is attached while a writer's transaction is open."""
    invoke(database, spec, "--url", database.owner_url)
    done = database.sql(
        "CREATE EXTENSION dblink; SET lock_timeout = '2s'; BEGIN;"
        "INSERT INTO option_contracts VALUES (now(), 1, '2026-11-26', 1, 'CE');"
        f"SELECT * FROM dblink('host={database.server.folder} port={database.server.port} dbname={database.name} user=postgres',"
        " 'SET lock_timeout = ''2s''; SELECT stockifyd.ensure_day(''option_contracts'', ''2027-05-05'')') AS t(made bool); COMMIT"
    )
    assert done == "t"


def test_a_reader_reads_and_nothing_else(database: Database, spec: str) -> None:
    """--reader grants SELECT on tables, the view and the ledger."""
    invoke(database, spec, "--url", database.owner_url, "--reader", READER)
    ask = "SELECT count(*) FROM option_contracts, market_snapshots, symbol_snapshots, instruments, stockifyd.offsets"
    assert database.server.sql(ask, database=database.name, user=READER) == "0"
    with pytest.raises(RuntimeError, match="permission denied"):
        database.server.sql("DELETE FROM option_contracts", database=database.name, user=READER)


def test_the_printed_script_does_the_same(database: Database, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """--print connects to nothing; psql makes of it what migrate makes, twice too."""
    monkeypatch.setenv("DATABASE_OWNER_URL", "postgresql://postgres@127.0.0.1:1/none")
    script = invoke(database, spec, "--print").output
    database.sql(script)
    database.sql(script)
    assert database.sql("SELECT count(*) FROM stockifyd.migrations") == "7"
    assert database.sql(f"SELECT has_table_privilege('{WRITER}', 'option_contracts', 'INSERT, UPDATE')") == "t"


def test_a_table_that_does_not_ship_is_named(database: Database, spec: str) -> None:
    """migrate cannot know a user's own table; it grants on it once it is there."""
    own = {"options": {"into": "mine.quotes"}}
    assert (
        "mine.quotes: no such table, and none ships with stockifyd"
        in invoke(database, spec, "--url", database.owner_url, tables=own).output
    )
    database.sql("CREATE SCHEMA mine; CREATE TABLE mine.quotes(x int)")
    invoke(database, spec, "--url", database.owner_url, tables=own)
    assert database.sql(f"SELECT has_table_privilege('{WRITER}', 'mine.quotes', 'INSERT')") == "t"


def test_another_schema(database: Database, spec: str) -> None:
    """The shipped tables go where `into` says."""
    invoke(database, spec, "--url", database.owner_url, tables={"options": {"into": "shadow.option_contracts"}})
    assert (
        database.sql("SELECT to_regclass('shadow.option_contracts') IS NOT NULL, to_regclass('shadow.instruments') IS NOT NULL")
        == "t|t"
    )


def test_a_table_of_that_name_without_partitions_is_left_alone(database: Database, spec: str) -> None:
    """An existing plain table keeps its shape, and gets no partitions."""
    database.sql("CREATE TABLE option_contracts(x int)")
    assert invoke(database, spec, "--url", database.owner_url, tables={"options": {"into": "option_contracts"}}).exit_code == 0
    assert database.sql("SELECT count(*) FROM stockifyd.day_tables") == "0"


def test_the_view_sums_over_expiries(database: Database, spec: str) -> None:
    """A symbol at an instant, over all its expiries; no ratio without calls."""
    invoke(database, spec, "--url", database.owner_url)
    at = f"{now():%Y-%m-%d %H:%M}+00"
    database.sql(
        f"INSERT INTO market_snapshots(timestamp, symbol_id, expiry, spot_price, total_call_oi, total_put_oi) VALUES"
        f" ('{at}', 1, '2026-11-26', 100, 10, 20), ('{at}', 1, '2026-12-03', 100, 30, 40), ('{at}', 2, '2026-12-03', 100, 0, 40)"
    )
    found = database.sql("SELECT symbol_id, total_call_oi, total_put_oi, pcr_ratio, expiries FROM symbol_snapshots ORDER BY 1")
    assert found.splitlines() == ["1|40|60|1.5|2", "2|0|40||1"]


def test_into_another_schema(database: Database, spec: str) -> None:
    """What ships is made there by days, what does not is made like the pipeline's own; a second run has nothing to make."""
    tables = {**BOTH, "quotes": {"into": "quotes"}}
    database.sql("CREATE TABLE quotes (at timestamptz PRIMARY KEY, price double precision NOT NULL)")
    invoke(database, spec, "--url", database.owner_url, tables=tables)
    said = [invoke(database, spec, "--url", database.owner_url, "--into", "again", tables=tables).output for _ in range(2)]
    assert ("tables/again.quotes" in said[0], 1) == (True, len(said[1].splitlines()))
    there = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'again'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    wanted = ["instruments", "market_snapshots", "option_contracts", "quotes"]
    assert wanted == database.sql(f"{there} ORDER BY relname").splitlines()
    assert "t" == database.sql(f"SELECT has_table_privilege('{WRITER}', 'again.quotes', 'INSERT')")
    with pytest.raises(Drift, match="writes already"):
        invoke(database, spec, "--into", "public")
