"""`make bench`: every figure beside `psql \\copy` of the same rows, or beside what it is to be measured by; one table."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Any

import figures_of_daemon as of_daemon
import figures_of_platform as of_platform
import figures_of_storage as of_storage
from bed import ROOT, Bed, bed
from loads import chains, load, prepare

RESULTS = ROOT / "bench" / "RESULTS.md"
FIGURES: dict[str, Callable[[Bed, argparse.Namespace], list[str]]] = {
    "loads": of_storage.loads,
    "stages": of_storage.cpu_stages,
    "latency": of_storage.latencies,
    "instances": of_storage.shares,
    "failover": of_storage.standstill,
    "reload": of_daemon.changes,
    "idle": of_daemon.idlers,
    "ready": of_daemon.readiness,
    "export": of_platform.exports,
    "ingestion": of_platform.polls,
    "processor": of_platform.processing,
    "analytics": of_platform.formulas,
    "lookup": of_platform.lookups_of,
}


def flame(at: Bed, asked: argparse.Namespace) -> None:
    """A flame graph of one load, by py-spy."""
    subject = chains(asked.chains)
    prepare(at, subject)
    spies: list[subprocess.Popen[bytes]] = []

    def look_at(pid: int) -> None:
        command = [
            Path(sys.executable).with_name("py-spy"),
            "record",
            "--rate",
            "250",
            "--output",
            asked.flame,
            "--pid",
            str(pid),
        ]
        spies.append(subprocess.Popen(command))

    load(at, subject, "flame", delivery=of_storage.WAYS[of_storage.TWO], started=look_at)
    spies[0].wait(60)  # it ends with the process that it looks at, and then draws


def second_core() -> float:
    """What two busy processes do together, beside one alone: 2.00 where each has a core to itself."""

    def burn(counted: Queue[int]) -> None:
        until, count = time.perf_counter() + 2, 0
        while time.perf_counter() < until:
            count += sum(range(1000)) > 0
        counted.put(count)

    def together(count: int) -> int:
        counted: Queue[int] = Queue()
        some = [Process(target=burn, args=(counted,)) for _ in range(count)]
        for one in some:
            one.start()
        return sum(counted.get() for _ in some)

    return together(2) / together(1)


def _where() -> str:
    release: Any = platform.python_version()
    return (
        f"{os.cpu_count()} cores, of which the second adds {second_core() - 1:.2f} to the first; Python {release},"
        f" {datetime.now(UTC):%Y-%m-%d}."
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="which; default: all")
    asked.add_argument("--chains", type=int, default=2000, help="messages of 500 rows a load")
    asked.add_argument("--ticks", type=int, default=1_600_000, help="messages of one row a load")
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--secs", type=float, default=60.0, help="how long latency is measured")
    asked.add_argument("--flame", metavar="FILE.svg", help="a flame graph of one load, and nothing else")
    asked.add_argument("--write", action="store_true", help=f"also into {RESULTS.relative_to(ROOT)}")
    given = asked.parse_args()
    with bed() as at:
        if given.flame:
            flame(at, given)
            return
        parts = [part for name in given.figures or FIGURES for part in FIGURES[name](at, given)]
    text = "\n\n".join([_where(), *parts])
    print(text)
    if given.write:
        RESULTS.write_text(f"# Results of `make bench`\n\n{text}\n")


if __name__ == "__main__":
    main()
