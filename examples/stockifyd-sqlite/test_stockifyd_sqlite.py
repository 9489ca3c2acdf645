"""The sink keeps the contract of ledgers: exactly once."""
# ruff: noqa: ARG002  # hooks of the contract have arguments

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from stockifyd_sqlite import Sqlite

from stockifyd.api import Drift, Row
from stockifyd.testing import LedgerContract, make


class TestSqlite(LedgerContract[Sqlite]):
    sink = Sqlite
    lock: sqlite3.Connection

    def options(self, tmp_path: Path) -> dict[str, Any]:
        path = tmp_path / "market.db"
        if not path.exists():
            with sqlite3.connect(path) as db:
                db.execute("CREATE TABLE contracts(number INT CHECK(number >= 0), text)")
            db.close()
        return {"path": str(path), "tables": {"options": "contracts"}, "timeout_ms": 10}

    def stored(self, sink: Sqlite) -> list[Row]:
        return self.ask(sink, "SELECT number, text FROM contracts ORDER BY rowid")

    def dead_letters(self, sink: Sqlite) -> list[tuple[int, str]]:
        return [(o, r) for o, r in self.ask(sink, 'SELECT "offset", reason FROM stockifyd_dead_letters ORDER BY "offset"')]

    def bad_row(self) -> Row:
        return -1, "less than nothing"

    def break_it(self, component: Sqlite) -> None:
        self.lock = sqlite3.connect(component.config.path, isolation_level=None)
        self.lock.execute("BEGIN EXCLUSIVE")

    def mend_it(self, component: Sqlite) -> None:
        self.lock.close()

    def ask(self, sink: Sqlite, sql: str) -> list[Row]:
        db = sqlite3.connect(sink.config.path)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    """A missing table is Drift, found before the first row, and says what to do."""
    sink = make(Sqlite, path=str(tmp_path / "empty.db"), tables={"options": "contracts"})
    with pytest.raises(Drift, match="no such table: contracts") as caught:
        asyncio.run(sink.open())
    asyncio.run(sink.close())
    assert caught.value.hint == "make the table or the column, or correct the option `tables`"
