"""Live samples of what passes between two stages of a pipeline; nothing where nobody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stockifyd.api import Batch

WAITING = 8
SOURCE, SINKS = "source", "sinks"


@dataclass(eq=False)
class Tap:
    """Batches that passed a stage, the latest few; who is slow misses some."""

    stage: str
    batches: asyncio.Queue[Batch] = field(default_factory=lambda: asyncio.Queue(WAITING))
    missed: int = 0

    def offer(self, batch: Batch) -> None:
        """Keep it if there is a place."""
        try:
            self.batches.put_nowait(batch)
        except asyncio.QueueFull:
            self.missed += 1


class Taps:
    """All taps of one pipeline. `is_open` is all that a batch costs where there is none."""

    def __init__(self) -> None:
        self._taps: set[Tap] = set()
        self.is_open = False

    @contextmanager
    def open(self, stage: str) -> Iterator[Tap]:
        """Look at a stage inside `with`: a transform's name, `source` before all of them, `sinks` behind."""
        tap = Tap(stage)
        self._taps.add(tap)
        self.is_open = True
        try:
            yield tap
        finally:
            self._taps.discard(tap)
            self.is_open = bool(self._taps)

    def passed(self, stage: str, batch: Batch) -> None:
        """A batch has left a stage."""
        for tap in self._taps:
            if tap.stage == stage:
                tap.offer(batch)
