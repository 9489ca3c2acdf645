"""A reader that looks at the platform's tables all the while: a chain is there whole or not at all, and stays what it was."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

from kit.beside import beside
from kit.evidence import Books
from kit.oracles import Violations

PLACES = ("market_snapshots", "option_contracts", "option_analytics", "option_buildups")
EACH = ", ".join(f"count(*) FILTER (WHERE place = '{place}')" for place in PLACES)
ALL = " UNION ALL ".join(f"SELECT symbol_id, expiry, timestamp, '{place}' AS place FROM {place}" for place in PLACES)
COUNTS = f'SELECT symbol_id, expiry, "timestamp", {EACH} FROM ({ALL}) AS everything GROUP BY 1, 2, 3'
PAIRS = {0: ("market_snapshots", "option_contracts"), 1: ("option_analytics", "option_buildups")}
"""What one transaction writes of a chain, by who writes it: one row, and a row for each option."""
REST_SECS = 0.5
Key = tuple[Any, ...]


class WholenessReader:
    """One REPEATABLE READ transaction after another, for as long as it is open."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._known: dict[tuple[Key, int], tuple[int, int]] = {}
        self.violations: Violations = []
        self.snapshots = 0

    def watching(self) -> AbstractAsyncContextManager[None]:
        """For as long as the block lasts."""
        return beside(self._watch())

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            async with self._books.reading() as connection:
                self.judge([tuple(row) for row in await connection.fetch(COUNTS)])
            await asyncio.sleep(max(REST_SECS, 4 * (time.monotonic() - began)))

    def judge(self, rows: list[tuple[Any, ...]]) -> None:
        """A snapshot: how many rows each place has of each chain."""
        self.snapshots += 1
        for row in rows:
            key, counts = row[:3], row[3:]
            for number, (one, many) in PAIRS.items():
                found = counts[2 * number], counts[2 * number + 1]
                known = self._known.get((key, number), (0, 0))
                if known not in ((0, 0), found) or (found != (0, 0) and not (found[0] == 1 and found[1] > 0)):
                    self.violations.append(f"{key}: {found[0]} in {one} and {found[1]} in {many}, before {known}")
                if found != (0, 0):
                    self._known[key, number] = found
