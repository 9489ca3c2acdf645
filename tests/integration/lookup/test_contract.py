"""The contract of every transform, kept by lookups through PgBouncer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kit.fixtures_postgres import READER, Database
from kit.sensors import NOON, PAST, ROOM, furnish, reading, readings
from stockifyd.api import Batch, Message
from stockifyd.testing import TransformContract, make_message
from stockifyd_postgres.lookup import Lookup


class TestLookup(TransformContract[Lookup]):
    """By a key."""

    transform = Lookup
    lookup: ClassVar[Mapping[str, Any]] = ROOM
    database: Database

    @pytest.fixture(autouse=True)
    def furnished(self, database: Database) -> None:
        asyncio.run(furnish(database))
        self.database = database

    def options(self, tmp_path: Path) -> dict[str, Any]:
        url = self.database.pooler.url(self.database.name, user=READER)
        return {**self.lookup, "database": url, "primary": url}

    def batch(self) -> Batch:
        return readings([[reading(1), reading(2)], [], [reading(None), reading(999), reading("seven")], [reading(1)]])

    def outside(self) -> list[dict[str, Any]]:
        return [{"sensor_id": n, "room": f"room {n}", "floor": n // 10} for n in range(1, 101)]

    def garbage(self) -> Sequence[Message]:
        return [make_message(4, b"anything")]

    def break_it(self, component: Lookup) -> None:
        self.database.sql("ALTER TABLE sensors RENAME TO gone; ALTER TABLE measured RENAME TO missed")

    def mend_it(self, component: Lookup) -> None:
        self.database.sql("ALTER TABLE gone RENAME TO sensors; ALTER TABLE missed RENAME TO measured")


class TestPast(TestLookup):
    """As of a time, into another table, remembered, and refused where there is nothing."""

    lookup: ClassVar[Mapping[str, Any]] = {**PAST, "into": "past", "on_miss": "reject", "cache_secs": 60, "cache_max_rows": 2}

    def batch(self) -> Batch:
        return readings([[reading(1), reading(2)], [], [reading(3, minute=-90), reading(1)], [reading(99)], [("noon", 1, 2.0)]])

    def outside(self) -> list[dict[str, Any]]:
        times = [(n, (NOON - timedelta(minutes=n)).isoformat()) for n in range(301)]
        return [{"sensor_id": s, "at": at, "celsius": s + n / 1000} for s in range(1, 21) for n, at in times]
