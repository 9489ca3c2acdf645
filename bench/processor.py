"""`pipelines/processor.yaml` as it ships: chains of 500 options a second, from Kafka to Kafka, with one worker and with two."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple
from zlib import crc32

from bed import ROOT, Bed, Run, kafka_topics

from stockifyd_optionchain.simulator import Simulator

SPEC = ROOT / "pipelines" / "processor.yaml"
INSTRUMENTS = ROOT / "pipelines" / "reference" / "instruments.yaml"
GROUP = "processor-group"
PARTITIONS = 12


class Processed(NamedTuple):
    """Chains a second between the first that is delivered and the last, CPU milliseconds for each, peak MiB of a worker."""

    chains_a_sec: float
    cpu_ms: float
    peak_mib: float


def prepare(at: Bed, chains: int) -> float:
    """Simulated answers of a vendor, waiting in market.raw; answers with their mean size in kB."""
    messages = _answers(chains)
    at.produce("market.raw", PARTITIONS, messages)
    for topic, partitions in (("market.enriched", PARTITIONS), ("market.dead", 1)):
        asyncio.run(kafka_topics.create_topic(at.kafka.direct, topic, partitions))
    return sum(len(value) for part in messages.values() for value in part) / chains / 1000


def measure(at: Bed, group: str, chains: int, workers: int) -> Processed:
    """All that waits, by so many workers of a new group."""
    spec = at.folder / f"{group}.yaml"
    spec.write_text(SPEC.read_text().replace(GROUP, group))
    where = {"INSTRUMENTS_FILE": str(INSTRUMENTS), "TOTAL_INSTANCES": str(workers)}
    runs = [at.run(spec, INSTANCE_ID=str(number + 1), **where) for number in range(workers)]
    while not (first := _delivered(runs)):
        time.sleep(0.02)
    began, used = time.perf_counter(), sum(run.usage()[0] for run in runs)
    while _delivered(runs) < chains:
        time.sleep(0.02)
    took, cpu = time.perf_counter() - began, sum(run.usage()[0] for run in runs) - used
    peak = max(run.usage()[1] for run in runs)
    for run in runs:
        run.stop()
    return Processed((chains - first) / took, 1000 * cpu / (chains - first), peak)


def _answers(chains: int) -> Mapping[int, list[bytes]]:
    simulator = Simulator(1, datetime.now(UTC).date() - timedelta(days=1), strikes=250, interval_secs=60)
    found = defaultdict[int, list[bytes]](list)
    for key, value, _ in islice(simulator.raw("upstox"), chains):
        found[crc32(key) % PARTITIONS].append(value)
    return found


def _delivered(runs: list[Run]) -> int:
    return sum(run.status()["messages_delivered"] for run in runs)
