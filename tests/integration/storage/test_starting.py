"""Starting where something is missing: servers that come later, tables that were never made, a spec that cannot be run."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

from kit.bed import Bed, scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.kafka import KafkaServer
from kit.kafka_topics import committed, create_topic
from kit.worker import PROGRAM, environment

BAD = """version: 1
name: storage
source:
  type: kafka
  brokers: localhost:9092
  topics: [market.enriched]
  group: storage-group
  fetch_min_byte: 10240
transforms:
  - type: flaten_chain
sinks:
  - type: postgres
    tables:
      snapshots: {into: market_snapshots, on_conflict: skip}
delivery:
  batch_max_rows: 0
"""


async def test_servers_that_come_later_are_waited_for(make_bed: MakeBed, own_kafka: KafkaServer, own_database: Database) -> None:
    """Started before all of them, the pipeline says once of each that it is away and once that it is back, and stores all."""
    async with scene(make_bed(kafka=own_kafka, database=own_database)) as on:
        await on.feed.send(100)
        await on.feed.settle()
        server, pooler = own_database.server, own_database.pooler
        for end in (own_kafka.stop, pooler.stop, server.stop):
            await asyncio.to_thread(end)
        worker = on.bed.worker()
        for start in (server.start, pooler.start, own_kafka.start):
            await worker.until_state("waiting")
            await asyncio.to_thread(start)
        await on.judge()
        away = [line for line in worker.log.splitlines() if "is unavailable, waiting for it" in line]
        back = [line for line in worker.log.splitlines() if "is back after" in line]
        assert (2, 2) == (len(away), len(back)), worker.log
        assert "'postgres' is unavailable" in away[0]
        assert "source is unavailable" in away[1]


async def test_missing_tables_halt_before_the_first_fetch(make_bed: MakeBed) -> None:
    """The command that makes them is in the hint; after it SIGHUP goes on."""
    bed: Bed = make_bed(keyed=True)
    await create_topic(bed.kafka.direct, bed.topic, bed.partitions)
    bed.write_spec()
    worker = bed.worker()
    try:
        status = await worker.until_state("halted")
        assert "market_snapshots" in status["reason"]
        assert "stockifyd migrate" in status["hint"]
        assert "Kafka consumer started" not in worker.log
        assert {} == await committed(bed.kafka.direct, bed.group)
        await bed.migrate()
        worker.send(signal.SIGHUP)
        await worker.until_owning(bed.partitions)
        assert 0 == await worker.stop()
    finally:
        bed.end()


def test_bad_spec_exits_78_with_all_findings(tmp_path: Path) -> None:
    """Each with its place; nothing is started."""
    spec = tmp_path / "storage.yaml"
    spec.write_text(BAD)
    done = subprocess.run([PROGRAM, "run", str(spec)], capture_output=True, text=True, check=False, env=environment())
    assert 78 == done.returncode
    places = {line.removeprefix(f"{spec}:").split(":")[0] for line in done.stderr.splitlines() if line.startswith(f"{spec}:")}
    assert {"8", "10", "14", "16"} == places, done.stderr
    assert "Traceback" not in done.stderr
