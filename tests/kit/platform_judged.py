"""The verdict on the whole platform: tables, topics, ledgers, file and `stockifyd audit`, against what is in the first topic."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from kit import oracles
from kit.exported import rows_of, table
from kit.fixtures_postgres import READER
from kit.kafka_topics import committed, read_all
from kit.oracles import Violations
from kit.platform_running import ANALYSED, DEAD, ENRICHED, RAW, Platform
from kit.postgres import PASSWORD
from kit.stream import copies, unlike
from stockifyd_demo.polled import Chain, Envelope, _chain

MINUTE = timedelta(minutes=1)
FIGURES = """SELECT symbol, expiry, "timestamp", pcr_oi, max_pain_strike
FROM option_analytics JOIN instruments USING (symbol_id)"""
CLOSE = 1e-9
TABLES = {
    "market_snapshots": False,
    "option_analytics": False,
    "option_contracts": True,
    "option_buildups": True,
    "option_recent_buildups": True,
}
"""Where chains are, as far as the specs have it; whether with a row for each option, else with one."""
ROWS = """SELECT symbol, expiry, "timestamp", count(*) FROM {table} JOIN instruments USING (symbol_id) GROUP BY 1, 2, 3"""
INTEREST = """SELECT symbol, expiry, "timestamp", coalesce(sum(oi) FILTER (WHERE option_type = 'CE'), 0)::bigint,
coalesce(sum(oi) FILTER (WHERE option_type = 'PE'), 0)::bigint
FROM option_contracts JOIN instruments USING (symbol_id) GROUP BY 1, 2, 3"""
LOST = "SELECT (SELECT count(*) FROM stockifyd.dead_letters), (SELECT count(*) FROM stockifyd.gaps)"


@dataclass(frozen=True)
class Exported:
    """What `historical` made of an interval, and how often it died over it."""

    begin: datetime
    end: datetime
    deaths: int
    text: str

    @property
    def rows(self) -> int:
        return self.text.count("\n") - 1


class Judge:
    """Answers with what is wrong, when all is at rest; nothing where all is well."""

    def __init__(self, on: Platform) -> None:
        self._on = on

    async def tables(self, chains: Sequence[Chain]) -> Violations:
        """Each chain once in each table, whole, as it was answered; nothing lost, nothing refused."""
        wanted = {one[:3]: one for one in chains}
        wrong = [] if len(wanted) == len(chains) else ["two chains of a series were polled at the same instant"]
        async with self._on.books().reading() as connection:
            for name, each in TABLES.items():
                if await connection.fetchval("SELECT to_regclass($1)", name) is None:
                    continue
                rows = {tuple(row)[:3]: row[3] for row in await connection.fetch(ROWS.format(table=name))}
                wrong += unlike_rows(name, rows, {chain: one.options if each else 1 for chain, one in wanted.items()})
            for *chain, calls, puts in map(tuple, await connection.fetch(INTEREST)):
                one = wanted.get(tuple(chain))
                wrong += [f"the open interest of {chain} is {calls}, {puts}"] if one and one[4:] != (calls, puts) else []
            letters, gaps = (await connection.fetch(LOST))[0]
        return [*wrong, *([f"{letters} dead letters, {gaps} gaps"] if letters or gaps else [])]

    async def analytics(self) -> Violations:
        """Figures that need no history, by their definition, from the vendor's answers."""
        answers = [msgspec.json.decode(record.value) for record in await read_all(self._on.kafka.direct, RAW)]
        payloads = {_identity(answer): answer["payload"]["data"] for answer in answers}
        async with self._on.books().reading() as connection:
            rows = [tuple(row) for row in await connection.fetch(FIGURES)]
        return [fault for row in rows for fault in unlike_figures(row, payloads[row[0], str(row[1]), row[2]])]

    async def topics(self) -> Violations:
        """What was made of each message is there at least once, the same each time; no dead letters."""
        brokers = self._on.kafka.direct
        raw, made, analysed, dead = [await read_all(brokers, topic) for topic in (RAW, ENRICHED, ANALYSED, DEAD)]
        missing = {(r.partition, r.offset) for r in made} - {one.origin for one in copies(analysed)}
        return [
            *unlike(copies(made), ((r.partition, r.offset) for r in raw)),
            *(f"{place} of {ENRICHED} is not in {ANALYSED}" for place in sorted(missing)),
            *(f"a dead letter: {record.value[:300]!r}" for record in dead),
        ]

    async def ledgers(self) -> Violations:
        """O4, O6 and O8, of both consumers."""
        found = oracles.told_secrets({one.log_file.name: one.log for one in self._on.every_worker}, [PASSWORD])
        for consumer in ("storage-group", "analytics-group"):
            kafka = {p: n for (_, p), n in (await committed(self._on.kafka.direct, consumer)).items()}
            books = self._on.books(consumer)
            found += oracles.ahead(kafka, await books.next())
            found += oracles.broken_chain(await books.moves())
        return found

    async def file(self, exported: Exported) -> Violations:
        """Each row of the interval as the primary has it, and once more for each death at the most."""
        wanted = set(rows_of(await asyncio.to_thread(self._on.database.sql, table(exported.begin, exported.end))))
        found = Counter(rows_of(exported.text))
        wrong = [f"the file lacks {row}" for row in wanted - found.keys()]
        wrong += [f"the file has {row}, the table has not" for row in found.keys() - wanted]
        wrong += [f"{row} is in the file {count} times" for row, count in found.items() if count > 1 + exported.deaths]
        return wrong if wanted else [*wrong, "nothing was exported"]

    async def audit(self, chains: Sequence[Chain], began: datetime, stopped: datetime) -> Violations:
        """The command's exit code and its words, for the minutes in which all was polled, of a market that was open then."""
        zone = ZoneInfo(self._on.zone)
        opened, closed = (minute_of(at).astimezone(zone) for at in (began, stopped))
        reader = self._on.database.pooler.url(self._on.database.name, user=READER)
        calendar = self._on.calendar("session", f"{opened:%H:%M}", f"{closed:%H:%M}")
        code, said = await self._on.run("audit", f"{opened:%Y-%m-%d}", "--calendar", str(calendar), "--deep", database_url=reader)
        wanted = "\n".join(_audit_of(chains, opened, closed))
        return [] if (code, said.strip()) == (0, wanted) else [f"audit ended with {code} and said\n{said}\nnot\n{wanted}"]


async def polled(on: Platform) -> list[Chain]:
    """What ingestion has put into its topic."""
    decoder = msgspec.json.Decoder(Envelope)
    return [_chain(decoder.decode(record.value)) for record in await read_all(on.kafka.direct, RAW)]


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def first_of_all(chains: Iterable[Chain]) -> datetime:
    """Since when each series is polled."""
    return max(min(times) for times in _times(chains).values())


def last_of_all(chains: Iterable[Chain]) -> datetime:
    """Until when each series was polled."""
    return min(max(times) for times in _times(chains).values())


def _times(chains: Iterable[Chain]) -> dict[tuple[Any, ...], list[datetime]]:
    found = defaultdict[tuple[Any, ...], list[datetime]](list)
    for one in chains:
        found[one[:2]].append(one.at)
    return found


def _audit_of(chains: Sequence[Chain], opened: datetime, closed: datetime) -> Iterator[str]:
    minutes = (closed - opened) // MINUTE
    yield f"{opened:%Y-%m-%d} session: {opened:%H:%M}-{closed:%H:%M}, every 60 s"
    for (symbol, expiry), times in sorted(_times(chains).items()):
        inside = sum(opened <= at < closed for at in times)
        yield f"{symbol} {expiry}: {minutes} of {minutes} intervals, {inside} chains"
    for symbol in sorted({one.symbol for one in chains}):
        yield f"unknown which expiries must be there: {symbol}: session has no expiries of it"
    if outside := sum(not opened <= one.at < closed for one in chains):
        yield f"{outside} chains of the day are in no session"
    yield "✓ nothing is missing"


def _identity(answer: Any) -> tuple[str, str, datetime]:
    return answer["symbol"], answer["expiry"], datetime.fromisoformat(answer["received_at"])


def unlike_rows(name: str, rows: Mapping[Any, int], wanted: Mapping[Any, int]) -> Iterator[str]:
    """Chains of which a table has not as many rows as it must."""
    for chain in rows.keys() | wanted.keys():
        if (there := rows.get(chain, 0)) != wanted.get(chain, 0):
            yield f"{name} has {there} rows of {chain}, must have {wanted.get(chain, 0)}"


def unlike_figures(row: tuple[Any, ...], strikes: Sequence[Any]) -> Iterator[str]:
    *chain, pcr, pain = row
    calls, puts = (
        {one["strike_price"]: one[side]["market_data"]["oi"] for one in strikes if one.get(side)}
        for side in ("call_options", "put_options")
    )
    ratio = sum(puts.values()) / sum(calls.values()) if sum(calls.values()) else None
    if (pcr is None) != (ratio is None) or abs((pcr or 0) - (ratio or 0)) > CLOSE:
        yield f"pcr_oi of {chain} is {pcr}, must be {ratio}"
    costs = {strike: _cost(strike, calls, puts) for strike in calls.keys() | puts.keys()}
    if costs.get(pain) != min(costs.values()):
        yield f"max_pain_strike of {chain} is {pain}, must be {min(costs, key=costs.__getitem__)}"


def _cost(at: float, calls: Mapping[float, float], puts: Mapping[float, float]) -> float:
    """What writers of options pay where the underlying ends at a strike."""
    called = sum(oi * max(at - strike, 0) for strike, oi in calls.items())
    return called + sum(oi * max(strike - at, 0) for strike, oi in puts.items())
