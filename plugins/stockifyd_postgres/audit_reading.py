"""What a database holds of a day: chains by interval, dead letters, how far storage has come, what was lost and what is torn."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from stockifyd.api import Calendar, Drift, Session, Unavailable
from stockifyd_postgres.address import Address
from stockifyd_postgres.audit import SHOWN, Letter, Series, Stored
from stockifyd_postgres.connection import Session as Connection
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.names import guess, qualified
from stockifyd_postgres.options import ConnectionOptions

LOG = logging.getLogger("stockifyd.audit")
KEEP_SECS = 3 * 86_400
"""How long after a day offsets that were found lost may be its own."""
TABLES = ("instruments", "market_snapshots", "option_contracts")
STANDING = "SELECT pg_is_in_recovery() AS is_standby, pg_last_xact_replay_timestamp() AS replayed_at"
READABLE = """SELECT t.name FROM unnest($1::text[], $2::text[]) AS t(schema, name)
WHERE NOT coalesce(has_table_privilege(to_regclass(format('%I.%I', t.schema, t.name))::oid, 'SELECT'), false)
OR NOT coalesce(has_schema_privilege(to_regnamespace(format('%I', t.schema))::oid, 'USAGE'), false)"""
LETTERS = """SELECT coalesce(encode(message_key, 'escape'), '') AS key, message_ts, reason FROM stockifyd.dead_letters
WHERE consumer = $1 AND message_ts >= $2 AND message_ts < $3 ORDER BY message_ts"""
COME_TO = "SELECT max(last_ts) FROM stockifyd.offsets WHERE consumer = $1"
LOST = """SELECT topic, partition, from_offset, to_offset, reason, noticed_at FROM stockifyd.gaps
WHERE consumer = $1 AND noticed_at >= $2 AND noticed_at < $3 ORDER BY noticed_at"""


class AuditOptions(ConnectionOptions, frozen=True, kw_only=True):
    """A connection for an audit."""

    statement_timeout_ms: int = 600_000

    @property
    def settings(self) -> Mapping[str, str | int]:
        """Reading alone; all of it of one instant."""
        return {**super().settings, "transaction_isolation": "'repeatable read'", "transaction_read_only": "on"}


@dataclass(frozen=True, slots=True)
class Request:
    """What is audited: a day of a calendar, at an interval, up to a time."""

    calendar: Calendar
    day: date
    every: timedelta
    until: datetime
    symbols: tuple[str, ...] = ()
    """None named: all that are active in `instruments`, else all that have chains that day."""
    schema: str = "public"
    consumer: str = "storage-group"
    deep: bool = False

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """The market's day."""
        begin = datetime.combine(self.day, time(), tzinfo=self.calendar.zone)
        return begin, datetime.combine(self.day + timedelta(days=1), time(), tzinfo=self.calendar.zone)

    def table(self, name: str) -> str:
        return qualified((self.schema, name))


async def read(addresses: Sequence[Address], request: Request) -> tuple[Stored, frozenset[str]]:
    """What is stored of the day, and the symbols that must be there, from the first server that can tell.

    Unavailable where none answers, or none has replayed the day; Drift where a table is not there.
    """
    for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
        try:
            return await _read(address, request)
        except Unavailable as error:
            if not left:
                raise
            LOG.warning("%s; trying the next one", error.reason)
    raise Drift("no database is named", hint="see --database")


async def _read(address: Address, request: Request) -> tuple[Stored, frozenset[str]]:
    connection = Connection(address, AuditOptions(), application="stockifyd audit", log=LOG)
    try:
        async with connection.transaction() as transaction:
            await _ready(transaction, request)
            until = await _until(transaction, request)
            names, active = await _symbols(transaction, request)
            stored = await _stored(transaction, request, names, until=until)
    finally:
        await connection.close()
    found = frozenset(series.symbol for series in stored.snapshots)
    return stored, frozenset(request.symbols) or active or found


async def _ready(transaction: Transaction, request: Request) -> None:
    wanted = [(request.schema, name) for name in TABLES] + [("stockifyd", name) for name in ("dead_letters", "offsets", "gaps")]
    schemas, names = (list(column) for column in zip(*wanted, strict=True))
    if absent := [row[0] for row in await transaction.fetch(READABLE, schemas, names)]:
        raise Drift(
            f"no table, or no right to read it: {', '.join(absent)}", hint="`stockifyd migrate SPEC --reader ROLE` grants it"
        )


async def _until(transaction: Transaction, request: Request) -> datetime:
    """Up to when all that was stored is here. A day that is over must be here whole: what is not replayed would look lost."""
    row = (await transaction.fetch(STANDING))[0]
    session = request.calendar.session(request.day)
    over = session.close if isinstance(session, Session) else request.bounds[1]
    if not row["is_standby"]:
        return request.until
    replayed: datetime | None = row["replayed_at"]
    if replayed is None or (replayed < over <= request.until):
        told = f", but up to {replayed:%Y-%m-%d %H:%M:%S%z}" if replayed else ""
        fact = f"{transaction.address} is a replica that has not replayed all of {request.day}{told}"
        raise Unavailable(fact, hint="what it has not replayed would look lost; wait for it, or audit on the primary")
    return min(replayed, request.until)


async def _symbols(transaction: Transaction, request: Request) -> tuple[dict[int, str], frozenset[str]]:
    """Names by id, and those that are active or asked for."""
    rows = await transaction.fetch(f"SELECT symbol_id, symbol, is_active FROM {request.table('instruments')}")  # noqa: S608  quoted
    names = {row["symbol_id"]: str(row["symbol"]) for row in rows}
    for symbol in request.symbols:
        if symbol not in names.values():
            raise Drift(f"there is no symbol {symbol!r} in `instruments`{guess(symbol, names.values())}", hint="correct --symbol")
    return names, frozenset(row["symbol"] for row in rows if row["is_active"])


async def _stored(transaction: Transaction, request: Request, names: Mapping[int, str], *, until: datetime) -> Stored:
    begin, end = request.bounds
    session = request.calendar.session(request.day)
    hours = session.hours if isinstance(session, Session) else ((begin, end),)
    chains: dict[Series, dict[datetime, int]] = {}
    inside = 0
    for first, last in hours:
        for row in await transaction.fetch(_counted(request), first, last, request.every.total_seconds()):
            symbol = names.get(row["symbol_id"], f"symbol_id {row['symbol_id']}")
            inside += row["chains"]
            if not request.symbols or symbol in request.symbols:
                chains.setdefault(Series(symbol, row["expiry"]), {})[first + row["slot"] * request.every] = row["chains"]
    all_day = f'SELECT count(*) FROM {request.table("market_snapshots")} WHERE "timestamp" >= $1 AND "timestamp" < $2'  # noqa: S608  quoted
    letters = await transaction.fetch(LETTERS, request.consumer, begin, end)
    return Stored(
        until,
        chains,
        await transaction.value(all_day, begin, end) - inside,
        [Letter(row["key"], row["message_ts"], row["reason"]) for row in letters],
        await transaction.value(COME_TO, request.consumer),
        await _lost(transaction, request),
        await _torn(transaction, request, names) if request.deep else (),
    )


def _counted(request: Request) -> str:
    return (
        'SELECT symbol_id, expiry, floor(extract(epoch FROM "timestamp" - $1::timestamptz) / $3::float8)::int AS slot,'  # noqa: S608  quoted
        f" count(*) AS chains FROM {request.table('market_snapshots')}"
        ' WHERE "timestamp" >= $1 AND "timestamp" < $2 GROUP BY 1, 2, 3'
    )


async def _lost(transaction: Transaction, request: Request) -> Sequence[str]:
    begin, end = request.bounds
    rows = await transaction.fetch(LOST, request.consumer, begin, end + timedelta(seconds=KEEP_SECS))
    return [
        f"{row['topic']}/{row['partition']}: offsets {row['from_offset']} to {row['to_offset']} were lost ({row['reason']}),"
        f" noticed {row['noticed_at']:%Y-%m-%d %H:%M}"
        for row in rows
    ]


async def _torn(transaction: Transaction, request: Request, names: Mapping[int, str]) -> Sequence[str]:
    """Chains that are not whole: the snapshot without its options, or the other way round."""
    where = 'WHERE "timestamp" >= $1 AND "timestamp" < $2'
    key = 'symbol_id, expiry, "timestamp"'
    sql = (
        f"SELECT {key}, s.there IS NULL AS no_snapshot FROM (SELECT {key}, true AS there"  # noqa: S608  quoted
        f" FROM {request.table('market_snapshots')} {where}) AS s FULL JOIN (SELECT {key}, true AS there"
        f" FROM {request.table('option_contracts')} {where} GROUP BY {key}) AS o USING ({key})"
        f" WHERE s.there IS NULL OR o.there IS NULL ORDER BY {key}"
    )
    rows = await transaction.fetch(sql, *request.bounds)
    told = []
    for row in rows[:SHOWN]:
        what = "options without their snapshot" if row["no_snapshot"] else "a snapshot without options"
        told.append(f"{names.get(row['symbol_id'], row['symbol_id'])} {row['expiry']} at {row['timestamp'].isoformat()}: {what}")
    return told + ([f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else [])
