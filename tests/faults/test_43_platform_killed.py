"""Fault 43: kill -9 of workers of all five pipelines that ship, under load, from a vendor's API to a file; then the audit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from faults.conftest import Sight
from kit.fixtures_postgres import Database
from kit.kafka import KafkaServer
from kit.massacre import massacre
from kit.pgbouncer import PgBouncer
from kit.platform_judged import MINUTE, Exported, Judge, first_of_all, last_of_all, minute_of, polled
from kit.platform_running import Platform, simulated
from kit.postgres_replica import PostgresReplica
from kit.vendor import Vendor
from kit.wholeness import WholenessReader
from stockifyd_demo.polled import Chain

INTERVAL_SECS, STRIKES, INSTANCES, SERIES = 0.5, 10, 2, 15
EXPORT_DEATHS, PATIENCE_SECS = 2, 120.0


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """Somebody to poll."""
    with Vendor() as up:
        yield up


@pytest.fixture
async def platform(
    own_kafka: KafkaServer, own_database: Database, replica: PostgresReplica, vendor: Vendor, tmp_path: Path
) -> AsyncIterator[Platform]:
    """Kafka, and a primary and its replica, each behind a PgBouncer; nothing runs yet."""
    with PgBouncer(replica) as pooler:
        on = Platform(own_kafka, own_database, replica, pooler, vendor.url, tmp_path, INTERVAL_SECS)
        await on.prepare()
        yield on
        on.end()


async def test_audit_is_clean(platform: Platform, vendor: Vendor, sight: Sight, chance: random.Random, fault_secs: float) -> None:
    """What ingestion put into its topic is once in each table, and in the file, whole at any time; the audit ends with 0.

    A poll that was under way in a process that died is lost (fault 47 has these): the next one is in the same minute.
    """
    vendor.behave = simulated(sight.seed, platform.today, strikes=STRIKES, interval_secs=INTERVAL_SECS)
    platform.start(INSTANCES)
    judge, reader = Judge(platform), WholenessReader(platform.books())
    async with reader.watching():
        began = first_of_all(await all_polled(platform))
        deaths = await massacre(platform.every_worker, chance, secs=fault_secs, everyone=True)
        exported = await export(platform, chance, began)
        while datetime.now(UTC) < minute_of(began) + MINUTE:
            await asyncio.sleep(0.2)
        stopped = datetime.now(UTC)
        assert [0] * INSTANCES == await asyncio.gather(*(one.stop() for one in platform.workers["ingestion"]))
        await platform.passed()
    chains = await polled(platform)
    faults = [*reader.violations, *await judge.tables(chains), *await judge.analytics(), *await judge.topics()]
    faults += [*await judge.ledgers(), *await judge.file(exported), *await judge.audit(chains, began, stopped)]
    assert not faults, f"seed {sight.seed}, {len(faults)} faults: {faults[:10]}\n{platform.last_words}"
    asked = sum(one.path.endswith("chain") for one in vendor.asked)
    sight.runs = deaths + exported.deaths
    minutes = (minute_of(stopped) - minute_of(began)) // MINUTE
    sight.note(asked=asked, chains=len(chains), minutes_audited=minutes, exported=exported.rows, snapshots_read=reader.snapshots)


async def all_polled(on: Platform) -> Sequence[Chain]:
    """What is polled, once there is something of every series."""
    async with asyncio.timeout(PATIENCE_SECS):
        while True:
            found = await polled(on)
            if len({one[:2] for one in found}) == SERIES:
                return found
            await asyncio.sleep(0.5)


async def export(on: Platform, chance: random.Random, begin: datetime) -> Exported:
    """Export what was polled so far, while polling goes on, by a process that is killed meanwhile."""
    end = last_of_all(await polled(on))  # before it nothing comes any more: a series is in order
    await on.passed()
    one, deaths = on.historical(begin, end), 0
    for _ in range(EXPORT_DEATHS):
        one.start()
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        one.kill()
        deaths += one.exit_code == -9
    assert 0 == await one.start().ended(PATIENCE_SECS), one.log
    return Exported(begin, end, deaths, (on.folder / "options.csv").read_text())
