"""Lookups of the past of options, and how long they keep the event loop from anything else."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple

from export import History

from stockifyd.api import Batch, Context, configure
from stockifyd_postgres.lookup import Lookup

KEY = ("symbol_id", "expiry", "strike_price", "option_type")
PAST: dict[str, Any] = {
    "table": "options",
    "from": "option_contracts",
    "match": {name: name for name in KEY},
    "columns": ["ltp", "oi"],
    "as_of": {"column": "timestamp", "time": "timestamp", "ago_secs": 30, "within_secs": 60},
    "into": "history",
    "max_lag_ms": None,
}
TICK_SECS = 0.001


class Looked(NamedTuple):
    """Rows looked up a second, the share found, and by how many ms a timer was late: 99 % of times, and most."""

    rows_a_sec: float
    found: float
    late_p99: float
    late_most: float


class Timer:
    """A timer of a millisecond, and how many milliseconds late it was."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []

    async def tick(self) -> None:
        while True:
            due = time.perf_counter() + TICK_SECS
            await asyncio.sleep(TICK_SECS)
            self.late_ms.append(1000 * (time.perf_counter() - due))

    def worst(self) -> tuple[float, float]:
        told = sorted(self.late_ms)
        return told[int(0.99 * len(told))], told[-1]


def idle(secs: float) -> Looked:
    """The timer beside nothing."""
    return asyncio.run(_beside(asyncio.sleep(secs)))


def measure(history: History, chains: int) -> Looked:
    """The last chains of a history, their options looked up as they were half a minute ago, in batches as they come."""
    os.environ |= history.where
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)  # as the daemon has it, ADR 9
    return asyncio.run(_looked(list(history.batches(chains))))


async def _looked(batches: Sequence[Batch]) -> Looked:
    lookup = Lookup(configure(Lookup, PAST), Context("bench", "history", logging.getLogger("bench")))
    await lookup.open()
    try:
        return await _beside(_all(lookup, batches))
    finally:
        await lookup.close()


async def _all(lookup: Lookup, batches: Sequence[Batch]) -> tuple[float, float]:
    began, rows, found = time.perf_counter(), 0, 0
    for batch in batches:
        column = (await lookup.apply(batch)).tables["history"].column("oi")
        rows, found = rows + len(column), found + len(column) - column.count(None)
    return rows / (time.perf_counter() - began), found / rows


async def _beside(work: Coroutine[Any, Any, tuple[float, float] | None]) -> Looked:
    timer = Timer()
    ticking = asyncio.ensure_future(timer.tick())
    rate, found = await work or (0.0, 0.0)
    ticking.cancel()
    return Looked(rate, found, *timer.worst())
