"""The reckoning: every chain that was polled against all places where it must be, and nothing else in them."""

from __future__ import annotations

import asyncio
import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import asyncpg

from stockifyd_demo.polled import Chain

EACH_ONE = ("market_snapshots", "option_analytics")
"""Tables with a row for each chain."""
EACH_OPTION = ("option_contracts", "option_buildups", "option_recent_buildups")
"""Tables with a row for each of its options."""
EXPORT = "the exported file"
ROWS = """SELECT symbol, expiry, "timestamp", count(*) FROM {table} JOIN instruments USING (symbol_id) GROUP BY 1, 2, 3"""
INTEREST = """SELECT symbol, expiry, "timestamp", coalesce(sum(oi) FILTER (WHERE option_type = 'CE'), 0)::bigint,
coalesce(sum(oi) FILTER (WHERE option_type = 'PE'), 0)::bigint
FROM option_contracts JOIN instruments USING (symbol_id) GROUP BY 1, 2, 3"""
HISTORY = """SELECT symbol, expiry, "timestamp", since, count(*)
FROM option_recent_buildups JOIN instruments USING (symbol_id) GROUP BY 1, 2, 3, 4"""
LOST = "SELECT (SELECT count(*) FROM stockifyd.dead_letters), (SELECT count(*) FROM stockifyd.gaps)"


class Identity(NamedTuple):
    """What tells a chain from all others."""

    symbol: str
    expiry: date
    at: datetime

    def __str__(self) -> str:
        return f"{self.symbol} {self.expiry} of {self.at:%H:%M:%S.%f}"


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of each chain, by place, and its open interest (calls, puts) as option_contracts has it."""

    rows: Mapping[str, Mapping[Identity, int]]
    interest: Mapping[Identity, tuple[int, int]]
    history: Mapping[Identity, Mapping[datetime | None, int]]
    """Recent build-ups of each chain, by the time that they are against."""
    repeated: int
    """Rows of the file that are there again."""
    dead_letters: int
    gaps: int

    @property
    def with_history(self) -> int:
        """Recent build-ups that are against something."""
        return sum(count for of_one in self.history.values() for since, count in of_one.items() if since is not None)


async def find(connection: asyncpg.Connection, export: Path) -> Found:
    """What the tables have, in one snapshot, and the file."""
    exported, repeated = await asyncio.to_thread(_exported, export, await _symbols(connection))
    rows: dict[str, Mapping[Identity, int]] = {EXPORT: exported}
    history = defaultdict[Identity, dict[datetime | None, int]](dict)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for table in (*EACH_ONE, *EACH_OPTION):
            rows[table] = {Identity(*r[:3]): r[3] for r in map(tuple, await connection.fetch(ROWS.format(table=table)))}
        interest = {Identity(*r[:3]): (r[3], r[4]) for r in map(tuple, await connection.fetch(INTEREST))}
        for *identity, since, count in map(tuple, await connection.fetch(HISTORY)):
            history[Identity(*identity)][since] = count
        dead_letters, gaps = (await connection.fetch(LOST))[0]
    return Found(rows, interest, history, repeated, dead_letters, gaps)


def differences(polled: Sequence[Chain], found: Found, ago: timedelta) -> Iterator[str]:
    """What is missing, too much or other than it was polled; nothing where all is right. Recent build-ups are of `ago`."""
    expected = {Identity(*one[:3]): one for one in polled}
    if len(expected) != len(polled):
        yield f"{len(polled) - len(expected)} chains were polled twice at the same instant"
    for place, rows in found.rows.items():
        yield from _of_place(place, rows, expected)
    for identity, one in expected.items():
        if (interest := found.interest.get(identity)) not in (None, (one.call_oi, one.put_oi)):
            yield f"option_contracts: open interest {interest} of {identity}, polled was {(one.call_oi, one.put_oi)}"
    yield from _of_history(expected, found, ago)
    for count, what in (
        (found.repeated, f"rows of {EXPORT} are there again"),
        (found.dead_letters, "dead letters in the ledger"),
        (found.gaps, "gaps in the ledger"),
    ):
        if count:
            yield f"{count} {what}"


def _of_place(place: str, rows: Mapping[Identity, int], expected: Mapping[Identity, Chain]) -> Iterator[str]:
    for identity, one in expected.items():
        wanted = 1 if place in EACH_ONE else one.options
        if (there := rows.get(identity, 0)) != wanted:
            yield f"{place}: {there} of {wanted} rows of {identity}"
    for identity in rows.keys() - expected:
        yield f"{place}: {rows[identity]} rows of a chain that nobody polled: {identity}"


def _of_history(expected: Mapping[Identity, Chain], found: Found, ago: timedelta) -> Iterator[str]:
    """Each recent build-up is against the newest chain of its series that was so old, however far behind storage was."""
    series = defaultdict[tuple[str, date], list[datetime]](list)
    for symbol, expiry, at in sorted(expected):
        earlier = [one for one in series[symbol, expiry] if one <= at - ago]
        since, there = earlier[-1] if earlier else None, found.history.get(Identity(symbol, expiry, at), {})
        if wrong := there.keys() - {since}:
            told = ", ".join(sorted(map(str, wrong)))
            yield f"option_recent_buildups: {Identity(symbol, expiry, at)} is against {told}, not {since}"
        series[symbol, expiry].append(at)


async def _symbols(connection: asyncpg.Connection) -> dict[str, str]:
    return {str(r[0]): r[1] for r in await connection.fetch("SELECT symbol_id, symbol FROM instruments")}


def _exported(path: Path, symbols: Mapping[str, str]) -> tuple[dict[Identity, int], int]:
    """Options of each chain in the file, and how many rows are there again."""
    found, rows = defaultdict[Identity, set[tuple[str, str]]](set), 0
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            expiry, at = date.fromisoformat(row["expiry"]), datetime.fromisoformat(row["timestamp"])
            found[Identity(symbols[row["symbol_id"]], expiry, at)].add((row["strike_price"], row["option_type"]))
            rows += 1
    counts = {identity: len(options) for identity, options in found.items()}
    return counts, rows - sum(counts.values())
