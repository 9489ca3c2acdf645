"""Where a pipeline is in its life."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """See docs/operating.md."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    HALTED = "halted"
    DRAINING = "draining"
    FINISHED = "finished"
    FAILED = "failed"
