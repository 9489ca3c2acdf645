"""Tables of figures, in Markdown, and what is said on the way to them."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from loads import Figures

BESIDE_COPY = ("way", "ratio to `\\copy`", "lowest to highest", "rows/s", "CPU s a million rows", "peak RSS, MiB")
Rows = list[tuple[str, ...]]


def say(text: str) -> None:
    """What is seen on the way, to stderr: the table is for stdout."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr)


def table(title: str, head: tuple[str, ...], rows: Rows, told: str = "") -> str:
    """A table below its title, with what is to be told of it between."""
    return "\n\n".join(filter(None, (f"### {title}", told, lines(head, rows))))


def lines(head: tuple[str, ...], rows: Rows) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))


def beside_copy(copies: Sequence[Figures], ways: dict[str, tuple[Sequence[Figures], Sequence[float]]]) -> str:
    """Loads or exports, with their ratios to those of psql: medians."""
    rows: Rows = [_row("psql \\copy", copies, [f.rows_a_sec / _middle(copies) for f in copies])]
    rows += [_row(way, figures, ratios) for way, (figures, ratios) in ways.items()]
    return lines(BESIDE_COPY, rows)


def _row(way: str, figures: Sequence[Figures], ratios: Sequence[float]) -> tuple[str, ...]:
    rate, cpu, peak = (statistics.median(f[i] for f in figures) for i in range(3))
    own = (f"{cpu:.1f}", f"{peak:.0f}") if cpu else ("-", "-")
    return way, f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}", f"{rate:,.0f}", *own


def _middle(figures: Sequence[Figures]) -> float:
    return statistics.median(f.rows_a_sec for f in figures)
