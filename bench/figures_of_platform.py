"""Figures of the other pipelines: ingestion, processor, analytics with its lookups, and historical."""

from __future__ import annotations

import argparse
import statistics

import analytics
import export
import ingestion
import lookups
import processor
from bed import Bed
from tables import Rows, beside_copy, say, table


def exports(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Figure h."""
    history = export.filled(at, asked.chains)
    ran = export.race(history, asked.rounds, say)
    told = f"{history.rows:,} rows in the order of time; from the start of the process to its end; medians."
    ways = {"stockifyd run": (ran.ours, ran.ratios)}
    return [f"### (h) Export into a file of CSV, through PgBouncer\n\n{told}\n\n{beside_copy(ran.copies, ways)}"]


def polls(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Symbols polled a second by one instance."""
    rows: Rows = []
    for topic, symbols in (("polled", 200), ("polled_twice", 400)):
        seen = ingestion.measure(at, topic, symbols, min(asked.secs, 30))
        there, cpu = f"{seen.stored} of {seen.due}", f"{100 * seen.cpu:.0f}"
        rows.append((str(symbols), f"{seen.answer_kb:.0f}", there, cpu, f"{seen.peak_mib:.0f}"))
        say(" ".join(rows[-1]))
    head = ("symbols a second", "kB an answer", "in Kafka, of those due", "% of a core", "peak RSS, MiB")
    return [table("One instance that polls a vendor into Kafka", head, rows)]


def processing(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Chains a second of the processor."""
    size = processor.prepare(at, asked.chains)
    rows: Rows = []
    for workers in (1, 2):
        ran = [processor.measure(at, f"processor-{workers}-{n}", asked.chains, workers) for n in range(min(asked.rounds, 3))]
        rates, cpu, peaks = zip(*ran, strict=True)
        rate, spread = f"{statistics.median(rates):.0f}", f"{min(rates):.0f} to {max(rates):.0f}"
        rows.append((str(workers), rate, spread, f"{statistics.median(cpu):.1f}", f"{max(peaks):.0f}"))
        say(" ".join(rows[-1]))
    head = ("workers", "chains/s", "lowest to highest", "CPU ms a chain", "peak RSS, MiB")
    told = f"{asked.chains:,} answers of Upstox, 500 options and {size:.0f} kB each; medians."
    return [table("The processor, from Kafka to Kafka", head, rows, told)]


def formulas(_at: Bed, asked: argparse.Namespace) -> list[str]:
    """CPU of analytics, in this process."""
    ran = analytics.measure(3 * asked.rounds)
    rows: Rows = []
    for step in ran[0]:
        times, ratios = [one[step] for one in ran], [one[step] / one[analytics.LOOPS[0]] for one in ran]
        rows.append((step, f"{statistics.median(times):.2f}", f"{min(times):.2f}", f"{statistics.median(ratios):.3f}"))
    head = ("step", "median", "lowest", "of the vollib loop for iv alone")
    return [table("CPU milliseconds for a chain of 500 options", head, rows)]


def lookups_of(at: Bed, asked: argparse.Namespace) -> list[str]:
    """Lookups, and what they keep the event loop from."""
    history = export.filled(at, asked.chains)
    rows: Rows = []
    for way, seen in (("nothing", lookups.idle(5)), ("lookups", lookups.measure(history, asked.chains // 4))):
        rate, found = (f"{seen.rows_a_sec:,.0f}", f"{seen.found:.0%}") if seen.rows_a_sec else ("-", "-")
        rows.append((way, rate, found, f"{seen.late_p99:.1f}", f"{seen.late_most:.1f}"))
        say(" ".join(rows[-1]))
    head = ("beside", "rows/s", "found", "late by, ms, 99 % of times", "most")
    told = (
        f"A timer of a millisecond in the same event loop; batches of 20,000 rows as of half a minute ago, of {history.rows:,}."
    )
    return [table("Lookups, and the event loop meanwhile", head, rows, told)]
