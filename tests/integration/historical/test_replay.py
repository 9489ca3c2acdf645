"""`stockifyd replay`: exactly the rows of an interval, in another schema, and nothing of the live group's is touched."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from kit.bed import Bed
from kit.eventually import eventually
from kit.fixtures_bed import MakeBed
from kit.kafka_topics import committed, producer
from kit.worker import PROGRAM, environment
from stockifyd_optionchain.simulator import Simulator

CHAINS, PARTITIONS, STRIKES = 1_200, 4, 5
SCHEMA = "again"
DAY = datetime.now(UTC).date() - timedelta(days=1)
OPTIONS, SNAPSHOTS = "option_contracts", "market_snapshots"
_numbers = itertools.count(1)


@pytest.fixture
async def live(make_bed: MakeBed) -> AsyncIterator[Bed]:
    """A storage pipeline that has stored a morning and goes on, by messages whose Kafka time is the chain's."""
    bed: Bed = make_bed(keyed=True, on_conflict="ignore", partitions=PARTITIONS)
    await bed.prepare()
    made = list(islice(Simulator(1, DAY, strikes=STRIKES), CHAINS))
    async with producer(bed.kafka.direct, linger_ms=5) as client:
        for n, (key, value, at_ms) in enumerate(made):
            await client.send(bed.topic, value, key=key, partition=n % PARTITIONS, timestamp_ms=at_ms)
        await client.flush()
    worker = bed.worker()
    try:
        await eventually(lambda: _count(bed, "public") == CHAINS, within_secs=120)
        deadline = asyncio.get_running_loop().time() + 60
        while sum((await committed(bed.kafka.direct, bed.group)).values()) < CHAINS:
            assert asyncio.get_running_loop().time() < deadline, worker.log
            await asyncio.sleep(0.2)
        yield bed
    finally:
        bed.end()


def _count(bed: Bed, schema: str) -> int:
    return int(bed.database.sql(f"SELECT count(*) FROM {schema}.{SNAPSHOTS}"))


def _interval(bed: Bed) -> tuple[str, str]:
    """The middle third of the chains' times."""
    times = f"SELECT min(timestamp) + (max(timestamp) - min(timestamp)) * {{}} FROM {SNAPSHOTS}"
    found = (bed.database.sql(f"SET timezone = 'UTC'; {times.format(part)}") for part in ("0.334", "0.667"))
    start, end = (datetime.fromisoformat(text) for text in found)
    return start.isoformat(), end.isoformat()


def _differences(bed: Bed, interval: Sequence[str]) -> list[str]:
    """Rows of the interval that are not there again, and rows that are there and not of the interval."""
    inside = f"\"timestamp\" >= '{interval[0]}' AND \"timestamp\" < '{interval[1]}'"
    found = []
    for table in (OPTIONS, SNAPSHOTS):
        was, again = f"SELECT * FROM public.{table} WHERE {inside}", f"SELECT * FROM {SCHEMA}.{table}"
        assert int(bed.database.sql(f"SELECT count(*) FROM public.{table} WHERE {inside}")) > 0
        for one, other in ((was, again), (again, was)):
            found += bed.database.sql(f"({one}) EXCEPT ALL ({other}) LIMIT 5").splitlines()
    return found


def _started(bed: Bed, interval: Sequence[str], *arguments: str) -> subprocess.Popen[bytes]:
    command = [str(PROGRAM), "replay", str(bed.spec), "--from", interval[0], "--to", interval[1], *arguments]
    log = (bed.folder / f"replay-{next(_numbers)}.log").open("wb")
    with log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment(**bed.settings()), cwd=bed.folder)


def _said(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("replay-*.log")))


async def _replayed(bed: Bed, interval: Sequence[str], *arguments: str, within_secs: float = 120) -> int:
    child = _started(bed, interval, *arguments)
    try:
        return await asyncio.to_thread(child.wait, within_secs)
    finally:
        child.kill()


async def _of_live(bed: Bed) -> tuple[object, str]:
    """What the live group has committed, and its ledger with the epochs of its claims."""
    ledger = f"SELECT * FROM stockifyd.offsets WHERE consumer = '{bed.group}' ORDER BY partition"
    return await committed(bed.kafka.direct, bed.group), await bed.sql(ledger)


async def test_exactly_an_interval(live: Bed) -> None:
    """Every row of it and no other, and the live pipeline's offsets and epochs are as they were; a second time, nothing."""
    interval, before = _interval(live), await _of_live(live)
    await live.migrate("--into", SCHEMA)
    assert 0 == await _replayed(live, interval, "--into", SCHEMA), _said(live.folder)
    assert [] == _differences(live, interval)
    assert before == await _of_live(live)
    assert 0 == await _replayed(live, interval, "--into", SCHEMA), _said(live.folder)
    assert "0 messages" in _said(live.folder).splitlines()[-1]
    assert [] == _differences(live, interval)


async def test_killed_and_gone_on(live: Bed) -> None:
    """kill -9 in the middle, then the same command: every row of the interval once."""
    interval = _interval(live)
    await live.migrate("--into", SCHEMA)
    child = _started(live, interval, "--into", SCHEMA, "--speed", "20")
    await eventually(lambda: _count(live, SCHEMA) > 0 or child.poll() is not None, within_secs=60)
    child.kill()
    child.wait()
    some = _count(live, SCHEMA)
    assert 0 < some < CHAINS // 4, _said(live.folder)
    assert 0 == await _replayed(live, interval, "--into", SCHEMA), _said(live.folder)
    assert [] == _differences(live, interval)


async def test_without_its_tables(live: Bed) -> None:
    """It reads nothing, and says which command makes them."""
    assert 1 == await _replayed(live, _interval(live), "--into", SCHEMA)
    assert f"stockifyd migrate {live.spec} --into {SCHEMA}" in _said(live.folder)
    assert "Traceback" not in _said(live.folder)


async def test_interrupted(live: Bed) -> None:
    """SIGTERM drains and ends with 1, since not the whole interval is there."""
    await live.migrate("--into", SCHEMA)
    child = _started(live, _interval(live), "--into", SCHEMA, "--speed", "10")
    await eventually(lambda: _count(live, SCHEMA) > 0 or child.poll() is not None, within_secs=60)
    child.terminate()
    assert 1 == await asyncio.to_thread(child.wait, 60), _said(live.folder)
    assert "the same command goes on" in _said(live.folder)
