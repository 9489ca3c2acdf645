"""`make bench`: every figure beside `psql \\copy` of the same rows, or beside what it is to be measured by; one table."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Any

import daemon
import export
import failover
import ingestion
import instances
import latency
import stages
from bed import ROOT, Bed, bed
from loads import Figures, Race, Subject, chains, load, prepare, race, ticks

RESULTS = ROOT / "bench" / "RESULTS.md"
ONE, TWO, HALVES = "1 lane", "2 lanes", "2 lanes, batches of half the size"
WAYS = {ONE: "", TWO: "lanes: 2", HALVES: "lanes: 2, batch_max_rows: 10000, batch_max_bytes: 4194304"}
SHARES = (0.25, 0.1)
HEAD = ("way", "ratio to `\\copy`", "lowest to highest", "rows/s", "CPU s a million rows", "peak RSS, MiB")
Rows = list[tuple[str, ...]]


def loads(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Figures a, b, d and e."""
    found = []
    for title, subject in (
        ("(a) Chains of 500 options", chains(asked.chains)),
        ("(b) One row a message of 200 bytes", ticks(asked.ticks)),
    ):
        prepare(at, subject)
        ran = race(at, subject, WAYS, asked.rounds, say)
        found.append(f"### {title}, exactly once; (d) memory; (e) CPU\n\n{_of_race(ran, subject)}")
    return found


def cpu_stages(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Figure e, stage by stage."""
    subject = replace(chains(asked.chains), topic="staged")
    prepare(at, subject)
    found = stages.measure(at, subject)
    rows: Rows = [(stage, f"{secs:.2f}") for stage, secs in found.items()]
    return [_table("(e) CPU seconds a million rows of chains, each stage by itself", ("stage", "CPU s"), rows)]


def latencies(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Figure c."""
    count = int(asked.secs * latency.CHAINS_A_SEC)
    subject = chains(count, spread=True)
    rows: Rows = []
    for name, delivery in (("one_lane", ""), ("two_lanes", "lanes: 2")):
        topic = f"gentle_{name}"
        latency.make_topic(at, topic)
        at.migrate(subject.spec(at, name))
        seen = latency.measure(at, replace(subject, topic=topic), asked.secs, name, delivery)
        rows.append((name.replace("_", " "), f"{seen.p50:.0f}", f"{seen.p99:.0f}", f"{seen.most:.0f}", str(seen.count)))
    title = f"(c) Milliseconds from the producer's send to COMMIT, {latency.CHAINS_A_SEC} chains a second"
    return [_table(title, ("", "p50", "p99", "most", "chains"), rows)]


def shares(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Figure f."""
    subject = chains(asked.chains * 3, spread=True)
    prepare(at, subject)
    rows: Rows = []
    try:
        for cores in SHARES:
            rates = []
            for count in (1, 2, 4):
                rates.append(instances.measure(at, subject, count, cores, f"shared_{'abcdef'[len(rows)]}"))
                linear = rates[-1] / rates[0] / count
                rows.append((str(count), f"{cores:g}", f"{rates[-1]:,.0f}", f"{linear:.2f}"))
                say(" ".join(rows[-1]))
    except instances.NoSharesError as error:
        rows.append(("-", "-", str(error), "-"))
    title = "(f) Instances, each with a share of a core"
    return [_table(title, ("instances", "cores each", "rows/s together", "of linear"), rows)]


def standstill(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Figure g."""
    subject = chains(max(1500, asked.rounds * 500), spread=True)
    rows: Rows = []
    for name, kill, title in (("killed", True, "kill -9 (session 6 s)"), ("handed_over", False, "SIGTERM")):
        topic = f"flowing_{name}"
        latency.make_topic(at, topic)
        at.migrate(subject.spec(at, name))
        secs = failover.measure(at, replace(subject, topic=topic), name, rounds=asked.rounds, kill=kill)
        rows.append((title, f"{statistics.median(secs):.1f}", f"{min(secs):.1f} to {max(secs):.1f}", str(len(secs))))
        say(" ".join(rows[-1]))
    title = "(g) Seconds until all partitions of an instance flow elsewhere"
    return [_table(title, ("", "median", "least to most", "rounds"), rows)]


def changes(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Reloads of a sink under load."""
    subject = replace(chains(max(2000, asked.rounds * 400), spread=True), topic="edited")
    latency.make_topic(at, subject.topic)
    at.migrate(subject.spec(at, "edited"))
    seen = daemon.reloads(at, subject, "edited", 2 * asked.rounds)
    rows: Rows = [(
        str(len(seen.reloading)), f"{statistics.median(seen.reloading):.0f}", f"{max(seen.reloading):.0f}",
        f"{seen.otherwise:.0f}", str(seen.rebalances),
    )]  # fmt: skip
    head = ("reloads of a sink", "longest pause, median", "most", "most without a reload", "rebalances")
    title = f"Milliseconds between two commits, {daemon.CHAINS_A_SEC} chains a second"
    return [_table(title, head, rows)]


def idlers(at: Bed, _asked: argparse.Namespace) -> list[str]:
    """Pipelines with nothing to do."""
    subject = replace(chains(1), topic="idle")
    rows: Rows = []
    for count in (1, 50):
        seen = daemon.idle(at, subject, count)
        rows.append((str(count), f"{seen.peak_mib:.0f}", f"{100 * seen.cpu:.1f}"))
        say(" ".join(rows[-1]))
    return [_table("Idle pipelines in one daemon", ("pipelines", "peak RSS, MiB", "% of a core"), rows)]


def readiness(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Start to READY."""
    subject = replace(chains(1), topic="early")
    latency.make_topic(at, subject.topic)
    at.migrate(subject.spec(at, "early"))
    found, bare = daemon.ready(at, subject, "early", asked.rounds)
    middle, alone = statistics.median(found), statistics.median(bare)
    rows: Rows = [(f"{middle:.0f}", f"{min(found):.0f}", f"{alone:.0f}", f"{middle / alone:.1f}")]
    head = ("start to READY, median", "least", "`python -c pass`", "ratio")
    return [_table("Milliseconds until systemd is told READY", head, rows)]


def exports(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Figure h."""
    history = export.filled(at, asked.chains)
    ran = export.race(history, asked.rounds, say)
    rows: Rows = [_row("psql \\copy", ran.copies, [f.rows_a_sec / _middle(ran.copies) for f in ran.copies])]
    rows.append(_row("stockifyd run", ran.ours, ran.ratios))
    told = f"{history.rows:,} rows in the order of time; from the start of the process to its end; medians."
    return [f"### (h) Export into a file of CSV, through PgBouncer\n\n{told}\n\n{_lines(HEAD, rows)}"]


def polls(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Symbols polled a second by one instance."""
    rows: Rows = []
    for topic, symbols in (("polled", 200), ("polled_twice", 400)):
        seen = ingestion.measure(at, topic, symbols, min(asked.secs, 30))
        there, cpu = f"{seen.stored} of {seen.due}", f"{100 * seen.cpu:.0f}"
        rows.append((str(symbols), f"{seen.answer_kb:.0f}", there, cpu, f"{seen.peak_mib:.0f}"))
        say(" ".join(rows[-1]))
    head = ("symbols a second", "kB an answer", "in Kafka, of those due", "% of a core", "peak RSS, MiB")
    return [_table("One instance that polls a vendor into Kafka", head, rows)]


FIGURES: dict[str, Callable[[Bed, argparse.Namespace], list[str]]] = {
    "loads": loads,
    "stages": cpu_stages,
    "latency": latencies,
    "instances": shares,
    "failover": standstill,
    "reload": changes,
    "idle": idlers,
    "ready": readiness,
    "export": exports,
    "ingestion": polls,
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

    load(at, subject, "flame", delivery=WAYS[TWO], started=look_at)
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


def say(text: str) -> None:
    """What is seen on the way, to stderr: the table is for stdout."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr)


def _of_race(ran: Race, subject: Subject) -> str:
    rows: Rows = [_row("psql \\copy", ran.copies, [f.rows_a_sec / _middle(ran.copies) for f in ran.copies])]
    rows += [_row(f"stockifyd, {way}", figures, ran.ratios[way]) for way, figures in ran.ways.items()]
    told = f"{subject.count:,} messages, {subject.rows:,} rows a load; each load between two of `\\copy`; medians."
    return f"{told}\n\n{_lines(HEAD, rows)}"


def _row(way: str, figures: Sequence[Figures], ratios: Sequence[float]) -> tuple[str, ...]:
    rate, cpu, peak = (statistics.median(f[i] for f in figures) for i in range(3))
    own = (f"{cpu:.1f}", f"{peak:.0f}") if cpu else ("-", "-")
    return way, f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}", f"{rate:,.0f}", *own


def _middle(figures: Sequence[Figures]) -> float:
    return statistics.median(f.rows_a_sec for f in figures)


def _table(title: str, head: tuple[str, ...], rows: Rows) -> str:
    return f"### {title}\n\n{_lines(head, rows)}"


def _lines(head: tuple[str, ...], rows: Rows) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))


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
    asked.add_argument("--ticks", type=int, default=400_000, help="messages of one row a load")
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
