"""`stockifyd audit` on the tables that `pipelines/storage.yaml` writes, in a real PostgreSQL and its replica."""
# what is expected stands first in an assert

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kit.fixtures_postgres import READER, Database
from kit.pgbouncer import PgBouncer
from kit.postgres_replica import PostgresReplica
from kit.postgres_sink import make_sink, migrate
from stockifyd.api import Calendar, StockifydError, Unavailable
from stockifyd_postgres.audit_command import EX_GAPS, EX_UNKNOWN, audit_command
from stockifyd_postgres.audit_reading import Request, _until

CALENDAR = "nse"
DAY = "2025-11-18"  # a Tuesday: NIFTY expires
TABLES = {"snapshots": {"into": "market_snapshots"}, "options": {"into": "option_contracts"}}
FILL = f"""INSERT INTO instruments (symbol_id, symbol, is_active) VALUES (13, 'NIFTY', true), (25, 'BANKNIFTY', true),
  (51, 'OLD', false);
SELECT stockifyd.ensure_day(t, '{DAY}'::date) FROM unnest(ARRAY['market_snapshots', 'option_contracts']::regclass[]) AS t;
INSERT INTO market_snapshots ("timestamp", symbol_id, expiry)
  SELECT '{DAY} 03:45:07+00'::timestamptz + m * interval '1 minute', s, e FROM generate_series(0, 374) AS m,
  (VALUES (13, date '2025-11-18'), (25, date '2025-11-25')) AS c(s, e);
INSERT INTO option_contracts ("timestamp", symbol_id, expiry, strike_price, option_type)
  SELECT "timestamp", symbol_id, expiry, 20000 + k, 'CE' FROM market_snapshots, generate_series(1, 3) AS k;"""

Run = Callable[..., Result]


def run(url: str, day: str = DAY, *arguments: str) -> Result:
    """The command, as a user calls it."""
    return CliRunner().invoke(audit_command, [day, "--calendar", CALENDAR, "--database", url, *arguments])


def report(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.output)
    return found


@pytest.fixture
def market(database: Database) -> Database:
    """A whole day of two symbols, a chain a minute."""
    asyncio.run(migrate(database, make_sink(database, tables=TABLES), readers=[READER]))
    database.sql(FILL)
    return database


@pytest.fixture
def url(market: Database) -> str:
    """As the reader, through PgBouncer."""
    return market.pooler.url(market.name, user=READER)


def test_a_whole_day(url: str) -> None:
    """Exit code 0; every interval of both symbols, and their chains are whole."""
    result = run(url, DAY, "--deep")
    assert 0 == result.exit_code, result.output
    assert [
        "2025-11-18 NSE index options: 09:15-15:30, every 60 s",
        "BANKNIFTY 2025-11-25: 375 of 375 intervals, 375 chains",
        "NIFTY 2025-11-18: 375 of 375 intervals, 375 chains",
        "✓ nothing is missing",
    ] == result.output.splitlines()


def test_gaps(market: Database, url: str) -> None:
    """Exit code 3; each gap in the market's time, with its reason."""
    market.sql(
        f"""DELETE FROM market_snapshots WHERE symbol_id = 13 AND "timestamp" >= '{DAY} 04:32+00'
          AND "timestamp" < '{DAY} 04:35+00';
        DELETE FROM market_snapshots WHERE "timestamp" >= '{DAY} 09:59+00';
        INSERT INTO stockifyd.dead_letters (pipeline, consumer, sink, cluster, topic, partition, "offset", error_class, payload,
          reason, message_key, message_ts)
          SELECT 'storage', 'storage-group', 'postgres', 'c', 't', 0, n, 'REJECT', '', why, key, at FROM
          (VALUES (7, 'strike is -1', 'NIFTY:2025-11-18'::bytea, '{DAY} 04:33:08+00'::timestamptz),
          (8, 'no key', NULL, '{DAY} 04:33:09+00'), (9, 'odd key', '\\xff00', '{DAY} 04:33:10+00')) AS l(n, why, key, at)"""
    )
    result = run(url)
    assert EX_GAPS == result.exit_code
    assert [
        "BANKNIFTY 2025-11-25: 374 of 375 intervals, 374 chains",
        "  15:29:00 to 15:30:00, 1 missing: no symbol has a chain then: nothing arrived, or nothing was stored",
        "NIFTY 2025-11-18: 371 of 375 intervals, 371 chains",
        "  10:02:00 to 10:05:00, 3 missing: 1 dead letters, the first: strike is -1",
        "  15:29:00 to 15:30:00, 1 missing: no symbol has a chain then: nothing arrived, or nothing was stored",
        "why a chain never came to storage no database knows: see the log of what polls, and the topic of dead letters",
        "✗ 3 gaps, 5 chains missing",
    ] == result.output.splitlines()[1:]
    [bank, nifty] = report(run(url, DAY, "--json"))["series"]
    assert ("NIFTY", "2025-11-18", 375, 371) == (nifty["symbol"], nifty["expiry"], nifty["expected"], nifty["there"])
    assert ["dead_letters", "nothing_stored"] == [gap["code"] for gap in nifty["gaps"]]
    assert ("2025-11-18T10:02:00+05:30", 3) == (nifty["gaps"][0]["from"], nifty["gaps"][0]["missing"])
    assert 1 == len(bank["gaps"])


def test_storage_that_is_behind(market: Database, url: str) -> None:
    """What is after the last message stored is not lost, but not stored yet; and says so."""
    market.sql(
        f"""DELETE FROM market_snapshots WHERE "timestamp" >= '{DAY} 07:00+00';
        INSERT INTO stockifyd.offsets (consumer, sink, cluster, topic, partition, next_offset, last_ts)
          VALUES ('storage-group', 'postgres', 'c', 't', 0, 9, '{DAY} 06:59:07+00')"""
    )
    assert {"not_stored_yet"} == {gap["code"] for line in report(run(url, DAY, "--json"))["series"] for gap in line["gaps"]}


def test_a_symbol_without_a_chain(market: Database, url: str) -> None:
    """An active instrument of which nothing was stored is missing all day, at its next expiry; --symbol asks for one alone."""
    market.sql("INSERT INTO instruments (symbol_id, symbol) VALUES (26, 'FINNIFTY')")
    found = {line["symbol"]: line for line in report(run(url, DAY, "--json"))["series"]}
    assert {"BANKNIFTY", "FINNIFTY", "NIFTY"} == set(found)
    assert ("2025-11-25", 0, 375) == (
        found["FINNIFTY"]["expiry"],
        found["FINNIFTY"]["there"],
        found["FINNIFTY"]["gaps"][0]["missing"],
    )
    assert 0 == run(url, DAY, "--symbol", "NIFTY").exit_code
    error = run(url, DAY, "--symbol", "NIFTI").exception
    assert isinstance(error, StockifydError)
    assert "there is no symbol 'NIFTI' in `instruments` (did you mean 'NIFTY'?)" == error.reason


def test_torn_chains(market: Database, url: str) -> None:
    """--deep: a snapshot without its options, and options without their snapshot; without it nobody looks."""
    market.sql(
        f"""DELETE FROM option_contracts WHERE symbol_id = 13 AND "timestamp" = '{DAY} 03:45:07+00';
        INSERT INTO option_contracts ("timestamp", symbol_id, expiry, strike_price, option_type)
          VALUES ('{DAY} 03:45:30+00', 25, '2025-11-25', 1, 'PE')"""
    )
    assert 0 == run(url).exit_code
    result = run(url, DAY, "--deep")
    assert EX_GAPS == result.exit_code
    assert "torn: NIFTY 2025-11-18 at 2025-11-18T03:45:07+00:00: a snapshot without options" in result.output
    assert "torn: BANKNIFTY 2025-11-25 at 2025-11-18T03:45:30+00:00: options without their snapshot" in result.output


def test_lost_offsets_are_told(market: Database, url: str) -> None:
    """What the source lost before it was read, where it was noticed since."""
    market.sql(
        f"""INSERT INTO stockifyd.gaps (consumer, sink, cluster, topic, partition, from_offset, to_offset, reason, noticed_at)
        VALUES ('storage-group', 'postgres', 'c', 'market.enriched', 3, 10, 17, 'retention', '{DAY} 12:00+00')"""
    )
    assert "lost: market.enriched/3: offsets 10 to 17 were lost (retention), noticed 2025-11-18 12:00" in run(url).output


def test_chains_outside_of_the_session(market: Database, url: str) -> None:
    """They are counted, and are no gap."""
    market.sql(f"""INSERT INTO market_snapshots ("timestamp", symbol_id, expiry) VALUES ('{DAY} 11:00+00', 13, '2025-11-18')""")
    result = run(url)
    assert (0, True) == (result.exit_code, "1 chains of the day are in no session" in result.output)


@pytest.mark.parametrize(
    ("day", "code", "words"),
    [
        ("2025-11-05", 0, "closed: Prakash Gurpurb Sri Guru Nanak Dev"),
        ("2025-11-16", 0, "closed: no trading on a Sunday"),
        ("2023-11-16", EX_UNKNOWN, "unknown: NSE index options is known from 2024-01-01"),
        ("2025-10-21", EX_GAPS, "muhurat trading 13:45-14:45, every 60 s"),
    ],
)
def test_other_days(url: str, day: str, code: int, words: str) -> None:
    """A holiday, a Sunday, a day that nobody knows, and an hour of trading on a holiday, of which nothing was stored."""
    result = run(url, day)
    assert (code, True) == (result.exit_code, words in result.output), result.output
    assert {0: "closed", EX_UNKNOWN: "unknown", EX_GAPS: "open"}[code] == report(run(url, day, "--json"))["session"]


def test_a_day_that_has_not_begun(url: str) -> None:
    """The command line is wrong."""
    result = run(url, "2999-01-01")
    assert (2, True) == (result.exit_code, "has not begun" in result.output)


def test_a_calendar_that_is_wrong(url: str, tmp_path: Path) -> None:
    """Its place and its cure."""
    path = tmp_path / "c.yaml"
    path.write_text("version: 2\n")
    result = CliRunner().invoke(audit_command, [DAY, "--calendar", str(path), "--database", url])
    assert isinstance(result.exception, StockifydError)
    assert "c.yaml:1:10: version: 1 is the only one there is" in result.exception.reason


def test_tables_that_are_not_there(database: Database) -> None:
    """All of them, and what makes them."""
    error = run(database.url).exception
    assert isinstance(error, StockifydError)
    assert "no right to read it: instruments, market_snapshots, option_contracts, dead_letters, offsets, gaps" in error.reason
    assert "stockifyd migrate" in error.hint


def test_on_a_replica(
    own_database: Database, replica: PostgresReplica, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`--database replica`: the first that answers and has replayed the day."""
    asyncio.run(migrate(own_database, make_sink(own_database, tables=TABLES), readers=[READER]))
    replica.catch_up()
    with PgBouncer(replica) as pooler:
        monkeypatch.delenv("DATABASE_URL", raising=False)
        password = replica.url().split(":")[2].split("@")[0]
        there = f"127.0.0.1:1,127.0.0.1:{pooler.port}"
        names = {"REPLICA_HOSTS": there, "NAME": own_database.name, "USER": READER, "PASSWORD": password}
        for name, value in names.items():
            monkeypatch.setenv(f"DATABASE_{name}", value)
        own_database.sql(FILL)
        replica.catch_up()
        result = run("replica")
        assert 0 == result.exit_code, result.output
        assert any("trying the next one" in record.getMessage() for record in caplog.records)


async def test_a_replica_that_has_not_replayed_the_day() -> None:
    """A day that is over must be here whole; of one that runs as much is judged as is here."""
    calendar = Calendar.load(CALENDAR)
    day = date.fromisoformat(DAY)
    noon = datetime(2025, 11, 18, 6, 30, tzinfo=UTC)

    async def until(now: datetime, replayed_at: datetime | None, *, is_standby: bool = True) -> datetime:
        answer = [{"is_standby": is_standby, "replayed_at": replayed_at}]
        request = Request(calendar, day, timedelta(minutes=1), now)
        return await _until(Answering(answer), request)  # type: ignore[arg-type]

    evening, later = noon + timedelta(hours=5), noon + timedelta(hours=6)
    assert [noon, evening, later] == [
        await until(later - timedelta(hours=4), noon),
        await until(later, evening),
        await until(later, None, is_standby=False),
    ]
    for replayed in (noon, None):
        with pytest.raises(Unavailable, match="a replica that has not replayed all of 2025-11-18"):
            await until(later, replayed)


class Answering:
    """A transaction whose server answers so."""

    address = "replica:6432"

    def __init__(self, answer: list[dict[str, object]]) -> None:
        self.answer = answer

    async def fetch(self, sql: str) -> list[dict[str, object]]:
        return self.answer
