"""The contract of every ledger sink, kept by this one through PgBouncer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kit.fixtures_postgres import Database
from kit.postgres_sink import make_sink, migrate
from stockifyd.api import Row
from stockifyd.testing import LedgerContract
from stockifyd_postgres.sink import Postgres

TABLES = {"options": {"into": "rows"}}


class TestPostgres(LedgerContract[Postgres]):
    """Facts that hold of every sink with a ledger."""

    sink = Postgres
    database: Database

    @pytest.fixture(autouse=True)
    def prepared(self, database: Database) -> None:
        database.sql(
            "CREATE TABLE rows(number int, text text, at bigserial);"
            "GRANT ALL ON rows TO PUBLIC; GRANT ALL ON rows_at_seq TO PUBLIC"
        )
        asyncio.run(migrate(database, make_sink(database, tables=TABLES)))
        self.database = database

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"database": self.database.url, "tables": TABLES}

    def bad_row(self) -> Row:
        return 2**40, "too large"

    async def stored(self, sink: Postgres) -> Sequence[Row]:
        return [(number, text) for number, text in await self._ask(sink, "SELECT number, text FROM rows ORDER BY at")]

    async def dead_letters(self, sink: Postgres) -> Sequence[tuple[int, str]]:
        return [
            (offset, reason)
            for offset, reason in await self._ask(sink, 'SELECT "offset", reason FROM stockifyd.dead_letters ORDER BY 1')
        ]

    def break_it(self, component: Postgres) -> None:
        self.database.sql("ALTER TABLE rows RENAME TO gone; REVOKE ALL ON stockifyd.offsets FROM PUBLIC, stockify_writer")

    def mend_it(self, component: Postgres) -> None:
        self.database.sql("ALTER TABLE gone RENAME TO rows; GRANT ALL ON stockifyd.offsets TO stockify_writer")

    async def _ask(self, sink: Postgres, sql: str) -> list[Any]:
        session = sink.store.connect()
        session.address = make_sink(self.database.owner_url).store.connect().address
        try:
            async with session.transaction() as transaction:
                return await transaction.fetch(sql)
        finally:
            await session.close()
