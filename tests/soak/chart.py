"""The picture of a soak: memory, file descriptors, tasks and lag over time, with each fault where it struck."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from soak.samples import Samples
from soak.verdict import Outcome

PANELS = {"memory_mib": "memory, MiB", "descriptors": "file descriptors", "tasks": "tasks", "lag": "lag, messages"}
COLOURS = {"steadfast": "#1f5fa8", "victim": "#d98324"}
VICTIM = "worker "
"""Faults whose name begins so touch the victim alone."""


def draw(path: Path, samples: Samples, outcome: Outcome) -> None:
    """Write a PNG."""
    names = sorted({struck.name for struck in outcome.struck}, reverse=True)
    heights = [1.0] * len(PANELS) + [max(0.4, 0.085 * len(names))]
    figure, axes = plt.subplots(
        len(heights), 1, sharex=True, figsize=(16, 3 * sum(heights)), height_ratios=heights, layout="constrained"
    )
    for panel, (name, label) in zip(axes, PANELS.items(), strict=False):
        _curves(panel, samples, name)
        panel.set_ylabel(label)
        panel.set_ylim(bottom=0)
        panel.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    _faults(axes[-1], outcome, names)
    for panel in axes:
        _background(panel, outcome)
    axes[0].legend(loc="upper left", ncols=len(COLOURS) + 1, framealpha=0.9)
    axes[-1].set_xlabel("minutes")
    figure.suptitle(_title(outcome))
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _curves(panel: Axes, samples: Samples, name: str) -> None:
    """One line for each life of a worker; a gap where it did not answer."""
    for worker, colour in COLOURS.items():
        label = worker
        for _, life in groupby(samples.of(worker), key=lambda sample: sample.pid):
            points = [(sample.secs / 60, getattr(sample, name)) for sample in life]
            known = [float("nan") if value is None else value for _, value in points]
            panel.plot([minute for minute, _ in points], known, color=colour, linewidth=1.1, label=label)
            label = "_"  # named once


def _faults(panel: Axes, outcome: Outcome, names: list[str]) -> None:
    """A row for each kind, a bar from its strike to its healing."""
    for struck in outcome.struck:
        since, until = struck.span.since / 60, struck.span.until / 60
        panel.barh(names.index(struck.name), max(until - since, 0.03), left=since, height=0.7, color=_colour(struck.name))
    panel.set_yticks(range(len(names)), names, fontsize=8)
    panel.set_ylim(-0.6, len(names) - 0.4)


def _background(panel: Axes, outcome: Outcome) -> None:
    """The quiet at both ends, and a thin line for each fault."""
    for number, span in enumerate((outcome.first, outcome.last)):
        label = "quiet" if number == 0 else "_"
        panel.axvspan(span.since / 60, span.until / 60, color="#4caf50", alpha=0.12, linewidth=0, label=label)
    for struck in outcome.struck:
        panel.axvline(struck.span.since / 60, color=_colour(struck.name), alpha=0.35, linewidth=0.6)
    panel.grid(axis="y", alpha=0.3)
    panel.margins(x=0.01)


def _colour(name: str) -> str:
    return COLOURS["victim"] if name.startswith(VICTIM) else "#b03a48"


def _title(outcome: Outcome) -> str:
    found = f"{len(outcome.violations)} violations" if outcome.violations else "no violations"
    told: Iterable[str] = (f"{len(outcome.struck)} faults", f"{outcome.messages:,} messages", f"{outcome.rows:,} rows", found)
    return f"soak, seed {outcome.seed}: " + ", ".join(told)
