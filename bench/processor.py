"""`pipelines/processor.yaml` as it ships: chains of 500 options a second, from Kafka to Kafka, with one worker and with two."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from subprocess import Popen
from zlib import crc32

from bed import ROOT, STOCKIFYD, KafkaServer, Run, kafka_topics

from stockifyd_optionchain.simulator import Simulator

SPEC = ROOT / "pipelines" / "processor.yaml"
PARTITIONS = 12
TOPICS = {"market.raw": PARTITIONS, "market.enriched": PARTITIONS, "market.dead": 1}


def answers(chains: int, vendor: str) -> Mapping[int, list[bytes]]:
    """Simulated answers of a vendor, by partition."""
    simulator = Simulator(1, datetime.now(UTC).date() - timedelta(days=1), strikes=250, interval_secs=60)
    found = defaultdict[int, list[bytes]](list)
    for key, value, _ in islice(simulator.raw(vendor), chains):  # type: ignore[arg-type]
        found[crc32(key) % PARTITIONS].append(value)
    return found


async def produce(kafka: KafkaServer, messages: Mapping[int, list[bytes]]) -> None:
    for topic, partitions in TOPICS.items():
        await kafka_topics.create_topic(kafka.direct, topic, partitions)
    await kafka_topics.produce_all(kafka.direct, "market.raw", messages, linger_ms=20, compression_type="lz4")


def worker(kafka: KafkaServer, folder: Path, instance: int) -> Run:
    """An instance of the pipeline that ships."""
    log = folder / f"{instance}.log"
    where = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap, "INSTANCE_ID": str(instance), "TOTAL_INSTANCES": "2"}
    more = {"STOCKIFYD_RUNTIME": str(folder / "run"), "XDG_STATE_HOME": str(folder / "state")}
    with log.open("wb") as file:
        command = [*STOCKIFYD, "run", str(SPEC), "--listen", "127.0.0.1:0"]
        return Run(Popen(command, env=os.environ | where | more, stdout=file, stderr=file, cwd=ROOT), log)


def delivered(runs: list[Run]) -> int:
    return sum(run.status()["messages_delivered"] for run in runs)


def a_round(folder: Path, messages: Mapping[int, list[bytes]], workers: int) -> tuple[float, float, float]:
    """Chains a second between the first that is delivered and the last, CPU milliseconds for each, peak MiB of a worker."""
    kafka = KafkaServer(folder / "kafka")
    kafka.start()
    runs = list[Run]()
    try:
        asyncio.run(produce(kafka, messages))
        runs += [worker(kafka, folder, number + 1) for number in range(workers)]
        total = sum(map(len, messages.values()))
        while not (first := delivered(runs)):
            time.sleep(0.02)
        began, used = time.perf_counter(), sum(run.usage()[0] for run in runs)
        while delivered(runs) < total:
            time.sleep(0.02)
        took, cpu = time.perf_counter() - began, sum(run.usage()[0] for run in runs) - used
        return (total - first) / took, 1000 * cpu / (total - first), max(run.usage()[1] for run in runs)
    finally:
        for run in runs:
            run.kill()
        kafka.stop()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=1200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vendor", choices=["upstox", "dhan", "nse"], default="upstox")
    given = parser.parse_args()
    messages = answers(given.chains, given.vendor)
    size = sum(len(value) for part in messages.values() for value in part) / given.chains / 1000
    print(f"{given.chains} answers of {given.vendor}, {size:.0f} kB each; {given.rounds} rounds, medians\n")
    print("| workers | chains/s | lowest to highest | CPU ms a chain | peak MiB |\n|---|---|---|---|---|")
    for workers in (1, 2):
        found = []
        for _ in range(given.rounds):
            with tempfile.TemporaryDirectory(prefix="stockifyd-bench-") as name:
                found.append(a_round(Path(name), messages, workers))
        rates, cpu, peaks = zip(*found, strict=True)
        rate, spread = statistics.median(rates), f"{min(rates):.0f} to {max(rates):.0f}"
        print(f"| {workers} | {rate:.0f} | {spread} | {statistics.median(cpu):.1f} | {max(peaks):.0f} |", flush=True)


if __name__ == "__main__":
    main()
