"""The end of a soak: whether what must be flat is flat, and the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from soak.samples import Sample

ALLOWED = {"memory_mib": (1.1, 12.0), "descriptors": (1.0, 3.0), "tasks": (1.0, 3.0)}
"""At the end a figure may be so many times what it was at first, and so much more: memory that is free again is not all given
back."""


class Span(NamedTuple):
    """Seconds of the soak."""

    since: float
    until: float


NEVER = Span(-1, -1)


class Struck(NamedTuple):
    """A fault, and when it was there."""

    name: str
    span: Span


class Figure(NamedTuple):
    """Medians of the quiet at first and at last, and the most in between."""

    name: str
    first: float
    last: float
    most: float

    @property
    def allowed(self) -> float:
        ratio, more = ALLOWED[self.name]
        return self.first * ratio + more

    @property
    def is_flat(self) -> bool:
        return self.last <= self.allowed


@dataclass
class Outcome:
    """All that a soak found."""

    seed: int
    struck: list[Struck] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    first: Span = NEVER
    last: Span = NEVER
    messages: int = 0
    rows: int = 0
    letters: int = 0
    snapshots: int = 0
    caught_up_secs: float = 0.0

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """Of the samples of one worker; none where a quiet has no samples."""
        found = []
        for name in ALLOWED:
            first, last = values(samples, name, self.first), values(samples, name, self.last)
            if first and last:
                most = max(values(samples, name, Span(0, float("inf"))))
                found.append(Figure(name, median(first), median(last), most))
        return found

    def judge_flatness(self, samples: Sequence[Sample]) -> None:
        """Of the worker that was never ended: growth is a violation, and so is not to know."""
        figures = self.figures(samples)
        self.violations += [f"not known: {name}" for name in ALLOWED if name not in {figure.name for figure in figures}]
        for figure in figures:
            if not figure.is_flat:
                grew = f"{figure.first:.0f} before, {figure.last:.0f} after; at most {figure.allowed:.0f} is flat"
                self.violations.append(f"O7 {figure.name} of the steadfast worker: {grew}")

    def table(self, samples: Sequence[Sample]) -> str:
        """For a terminal."""
        counts = Counter(struck.name for struck in self.struck)
        lines = [f"{'fault':<28} {'count':>8}"]
        lines += [f"{name:<28} {counts[name]:>8}" for name in sorted(counts)]
        lines += [f"{'all':<28} {counts.total():>8}", ""]
        lines += [f"{'steadfast worker':<28} {'before':>8} {'after':>8} {'most':>8} {'flat up to':>11}"]
        lines += [f"{f.name:<28} {f.first:>8.0f} {f.last:>8.0f} {f.most:>8.0f} {f.allowed:>11.0f}" for f in self.figures(samples)]
        lags = [sample.lag for sample in samples if sample.lag is not None]
        lines += [f"{'lag, messages':<28} {'':>8} {lags[-1]:>8} {max(lags):>8}"] if lags else []
        stored = f"{self.messages:,} messages, {self.rows:,} rows, {self.letters} dead letters"
        lines += ["", f"{stored}; {self.snapshots:,} snapshots looked at"]
        lines += [f"all stored {self.caught_up_secs:.1f} s after the last message"]
        lines += [f"violations: {len(self.violations) or 'none'}", *(f"  {text}" for text in self.violations[:20])]
        return "\n".join(lines)


def values(samples: Sequence[Sample], name: str, span: Span) -> list[float]:
    """One figure of samples within a time, where it is known."""
    found = (getattr(sample, name) for sample in samples if span.since <= sample.secs <= span.until)
    return [value for value in found if value is not None]
