"""`pipelines/historical.yaml` from a streaming replica through PgBouncer: every row, whatever is killed on the way."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from kit.eventually import eventually
from kit.exported import Row, rows_of, table
from kit.fixtures_postgres import Database
from kit.history import ROWS, SPEC, History
from kit.postgres_sink import make_sink, migrate
from kit.worker import Worker


def expected(history: History) -> list[Row]:
    """What the primary holds, as psql tells it, in the order of time."""
    return rows_of(history.primary.sql(table()))


def worker(history: History, folder: Path, **settings: str) -> Worker:
    shutil.copy(SPEC, folder / "historical.yaml")
    return Worker(folder / "historical.yaml", folder / "log", settings=history.settings(folder, **settings))


async def test_a_whole_export(history: History, tmp_path: Path) -> None:
    """Each row once, in the order of time, with exit code 0; run again, it finds nothing to do."""
    one = worker(history, tmp_path).start()
    assert 0 == await one.ended(120), one.log
    text = (tmp_path / "options.csv").read_text()
    assert expected(history) == rows_of(text)
    assert 0 == await one.start().ended(120), one.log
    assert text == (tmp_path / "options.csv").read_text()


async def test_killed_in_the_middle(history: History, tmp_path: Path, chance: random.Random) -> None:
    """kill -9 again and again: no row is missing, none is changed, and what is there twice came after the checkpoint."""
    one, out = worker(history, tmp_path), tmp_path / "options.csv"
    for _ in range(4):
        before = _size(out)
        one.start()
        await eventually(lambda before=before: _size(out) > before or not one.alive, within_secs=120)  # type: ignore[misc]
        await asyncio.sleep(chance.uniform(0, 1.2))
        one.kill()
    assert 0 == await one.start().ended(120), one.log
    found, wanted = Counter(rows_of(out.read_text())), expected(history)
    assert set(wanted) == set(found)
    assert max(found.values()) <= 1 + 4
    assert found.total() < 2 * ROWS, "it went on where it was, and did not begin anew"


async def test_the_replica_is_restarted(history: History, tmp_path: Path) -> None:
    """A server that goes away while it is read is waited for, and each row comes once."""
    one, out = worker(history, tmp_path), tmp_path / "options.csv"
    one.start()
    await eventually(lambda: _size(out) > 0, within_secs=120)
    await asyncio.to_thread(history.replica.restart, "immediate")
    assert 0 == await one.ended(180), one.log
    assert expected(history) == rows_of(out.read_text())


async def test_parquet(history: History, tmp_path: Path) -> None:
    """The same rows as files of Parquet."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra 'arrow' is not installed")
    one = worker(history, tmp_path, HISTORICAL_FORMAT="parquet").start()
    assert 0 == await one.ended(120), one.log
    tables = [parquet.read_table(path) for path in sorted(tmp_path.glob("options.*.parquet"))]
    kinds = {name: str(tables[0].schema.field(name).type) for name in ("timestamp", "expiry", "oi", "ltp")}
    assert {"timestamp": "timestamp[us, tz=UTC]", "expiry": "date32[day]", "oi": "int64", "ltp": "double"} == kinds
    assert [row.ltp for row in expected(history)] == [value for table in tables for value in table.column("ltp").to_pylist()]


async def test_into_another_database_exactly_once(
    history: History, database: Database, tmp_path: Path, chance: random.Random
) -> None:
    """With a ledger behind it each row is there once, killed or not, and no checkpoint file is needed."""
    database.sql("CREATE TABLE copied (at timestamptz, symbol_id int, strike double precision, kind text)")
    spec = yaml.safe_load(SPEC.read_text())
    names = {"at": "timestamp", "symbol_id": "symbol_id", "strike": "strike_price", "kind": "option_type"}
    columns = {name: {**spec["transforms"][0]["columns"][origin], "from": origin} for name, origin in names.items()}
    del spec["source"]["checkpoint"]
    spec["transforms"][0]["columns"] = columns
    spec["sinks"] = [{"type": "postgres", "tables": {"options": {"into": "copied"}}}]
    spec["delivery"] = {"batch_max_rows": 2000}
    path = tmp_path / "copying.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    one = Worker(path, tmp_path / "log", settings=history.settings(tmp_path, DATABASE_URL=database.url))
    await migrate(database, make_sink(database, tables=spec["sinks"][0]["tables"]))
    for _ in range(3):
        before = _count(database)
        one.start()
        await eventually(lambda before=before: _count(database) > before or not one.alive, within_secs=120)  # type: ignore[misc]
        await asyncio.sleep(chance.uniform(0, 0.3))
        one.kill()
    assert 0 == await one.start().ended(120), one.log
    question = "SELECT count(*), count(DISTINCT (at, symbol_id, strike, kind)) FROM copied"
    assert f"{ROWS}|{ROWS}" == database.sql(question)


def _count(database: Database) -> int:
    return int(database.sql("SELECT count(*) FROM copied"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
