"""`make bench`: loads option chains from Kafka into PostgreSQL, beside `psql \\copy` of the same rows; one table."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bed import ROOT, Bed, bed

from stockifyd_optionchain.simulator import Simulator

PARTITIONS = 12
OPTIONS = 500
COPY = "psql \\copy"
RESULTS = ROOT / "bench" / "RESULTS.md"
SPEC = """version: 1
name: {name}
source: {{type: kafka, brokers: "${{KAFKA_BOOTSTRAP_SERVERS}}", topics: [{topic}], group: {name}}}
transforms: [{{type: flatten_chain}}]
sinks:
  - type: postgres
    tables:
      snapshots: {{into: market_snapshots, on_conflict: ignore}}
      options: {{into: option_contracts, on_conflict: ignore}}
delivery: {{lanes: {lanes}}}
"""


class Figures(NamedTuple):
    """One load: rows a second, CPU seconds of the program a million rows, peak of resident memory in MiB."""

    rows_a_sec: float
    cpu_secs: float = 0.0
    peak_mib: float = 0.0


def chains(count: int) -> dict[int, list[bytes]]:
    """Simulated chains of 500 options, dealt to partitions by expiry as their key does."""
    made: dict[int, list[bytes]] = {n: [] for n in range(PARTITIONS)}
    keys: dict[bytes, int] = {}
    for key, value, _ in islice(Simulator(1, datetime.now(UTC).date(), strikes=OPTIONS // 2), count):
        made[keys.setdefault(key, len(keys) % PARTITIONS)].append(value)
    return made


def spec(at: Bed, name: str, *, lanes: int) -> Path:
    path = at.folder / f"{name}.yaml"
    path.write_text(SPEC.format(name=name, topic="chains", lanes=lanes))
    return path


def empty(at: Bed) -> None:
    at.sql("TRUNCATE market_snapshots, option_contracts; CHECKPOINT")


def load(at: Bed, name: str, *, lanes: int, rows: int) -> Figures:
    """Rows a second from the first commit to the last, of `stockifyd run` with all messages waiting in Kafka."""
    empty(at)
    run = at.run(spec(at, name, lanes=lanes))
    first = (0.0, 0, 0.0)
    while True:
        stored = int(at.sql(STORED.format(name=name)) or 0)
        now = time.perf_counter()
        if stored and not first[1]:
            first = (now, stored, run.usage()[0])
        if stored >= rows // OPTIONS:
            break
        time.sleep(0.02)
    cpu, peak = run.usage()
    run.stop()
    done = rows - first[1] * OPTIONS
    return Figures(done / (now - first[0]), (cpu - first[2]) / done * 1e6, peak)


STORED = "SELECT sum(next_offset) FROM stockifyd.offsets WHERE consumer = '{name}'"


def copy(at: Bed, rows: int) -> Figures:
    """Rows a second of psql's own loading of a ready binary file."""
    empty(at)
    return Figures(rows / at.psql(f"\\copy option_contracts from '{at.folder}/rows.bin' with (format binary)"))


def measure(at: Bed, messages: int, rounds: int) -> dict[str, list[Figures]]:
    """The same rows, by each way in turn."""
    found: dict[str, list[Figures]] = {COPY: [], "stockifyd, 1 lane": [], "stockifyd, 2 lanes": []}
    rows = messages * OPTIONS
    at.migrate(spec(at, "warm", lanes=1))
    load(at, "warm", lanes=1, rows=rows)
    if (there := int(at.sql("SELECT count(*) FROM option_contracts"))) != rows:
        raise RuntimeError(f"{there} rows are there, not {rows}")
    os.chmod(at.folder, 0o755)  # noqa: PTH101
    at.psql(f"\\copy (select * from option_contracts) to '{at.folder}/rows.bin' with (format binary)")
    for n in range(rounds):
        found[COPY].append(copy(at, rows))
        for lanes in (1, 2):
            figures = load(at, f"load_{'ab'[lanes - 1]}{'x' * n}", lanes=lanes, rows=rows)
            found[f"stockifyd, {lanes} lane{'s' * (lanes > 1)}"].append(figures)
    return found


def table(found: dict[str, list[Figures]], messages: int) -> str:
    """Medians, and the ratio to `\\copy` within this run."""
    reference = statistics.median(f.rows_a_sec for f in found[COPY])
    told = (
        f"Chains of {OPTIONS} options, exactly once; {messages} messages, {messages * OPTIONS:,} rows a load;"
        f" {len(found[COPY])} rounds, medians; {os.cpu_count()} cores, Python {platform.python_version()},"
        f" {datetime.now(UTC):%Y-%m-%d}."
    )
    lines = [
        told,
        "",
        "| way | ratio to `\\copy` | lowest to highest | rows/s | CPU s a million rows | peak RSS, MiB |",
        "|---|---|---|---|---|---|",
    ]
    for way, all_of_it in found.items():
        ratios = sorted(f.rows_a_sec / reference for f in all_of_it)
        rate, cpu, peak = (statistics.median(f[i] for f in all_of_it) for i in range(3))
        own = f"{cpu:.1f} | {peak:.0f}" if cpu else "- | -"
        lines.append(f"| {way} | {statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} | {rate:,.0f} | {own} |")
    return "\n".join(lines)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--chains", type=int, default=1200)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--write", action="store_true", help=f"also into {RESULTS.relative_to(ROOT)}")
    given = asked.parse_args()
    messages = chains(given.chains)
    with bed() as at:
        at.produce("chains", PARTITIONS, messages)
        text = table(measure(at, given.chains, given.rounds), given.chains)
    print(text)
    if given.write:
        RESULTS.write_text(f"# Results of `make bench`\n\n{text}\n")


if __name__ == "__main__":
    main()
