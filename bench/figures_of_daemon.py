"""Figures of the daemon: reloads, many pipelines, and how soon it is ready."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import daemon
import latency
from bed import Bed
from loads import chains
from tables import Rows, say, table


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
    return [table(title, head, rows)]


def idlers(at: Bed, _asked: argparse.Namespace) -> list[str]:
    """Pipelines with nothing to do."""
    subject = replace(chains(1), topic="idle")
    rows: Rows = []
    for count in (1, 50):
        seen = daemon.idle(at, subject, count)
        rows.append((str(count), f"{seen.peak_mib:.0f}", f"{100 * seen.cpu:.1f}"))
        say(" ".join(rows[-1]))
    return [table("Idle pipelines in one daemon", ("pipelines", "peak RSS, MiB", "% of a core"), rows)]


def readiness(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Start to READY."""
    subject = replace(chains(1), topic="early")
    latency.make_topic(at, subject.topic)
    at.migrate(subject.spec(at, "early"))
    found, bare = daemon.ready(at, subject, "early", asked.rounds)
    middle, alone = statistics.median(found), statistics.median(bare)
    rows: Rows = [(f"{middle:.0f}", f"{min(found):.0f}", f"{alone:.0f}", f"{middle / alone:.1f}")]
    head = ("start to READY, median", "least", "`python -c pass`", "ratio")
    return [table("Milliseconds until systemd is told READY", head, rows)]
