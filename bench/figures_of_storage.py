"""Figures of the storage pipeline: speed, memory, CPU, latency, sharing and failover."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import failover
import instances
import latency
import stages
from bed import Bed
from loads import chains, prepare, race, ticks
from tables import Rows, beside_copy, say, table

ONE, TWO, SMALL = "1 lane", "2 lanes", "batches of half the size"
HALF = "batch_max_rows: 10000, batch_max_bytes: 4194304"
WAYS = {ONE: "", TWO: "lanes: 2", f"{ONE}, {SMALL}": HALF, f"{TWO}, {SMALL}": f"lanes: 2, {HALF}"}
SHARES = (0.25, 0.1)


def loads(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Figures a, b, d and e."""
    found = []
    for title, subject in (
        ("(a) Chains of 500 options", chains(asked.chains)),
        ("(b) One row a message of 200 bytes", ticks(asked.ticks)),
    ):
        prepare(at, subject)
        ran = race(at, subject, WAYS, asked.rounds, say)
        told = f"{subject.count:,} messages, {subject.rows:,} rows a load; each load between two of `\\copy`; medians."
        ways = {f"stockifyd, {way}": (figures, ran.ratios[way]) for way, figures in ran.ways.items()}
        found.append(f"### {title}, exactly once; (d) memory; (e) CPU\n\n{told}\n\n{beside_copy(ran.copies, ways)}")
    return found


def cpu_stages(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Figure e, stage by stage."""
    subject = replace(chains(asked.chains), topic="staged")
    prepare(at, subject)
    found = stages.measure(at, subject)
    rows: Rows = [(stage, f"{secs:.2f}") for stage, secs in found.items()]
    return [table("(e) CPU seconds a million rows of chains, each stage by itself", ("stage", "CPU s"), rows)]


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
    return [table(title, ("", "p50", "p99", "most", "chains"), rows)]


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
    return [table(title, ("instances", "cores each", "rows/s together", "of linear"), rows)]


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
    return [table(title, ("", "median", "least to most", "rounds"), rows)]
