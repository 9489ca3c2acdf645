"""A transform applied where no event loop runs: those that let others have a turn go straight on."""

from __future__ import annotations

from typing import Any

from stockifyd.api import Batch, Transform


def applied(transform: Transform[Any], batch: Batch) -> Batch:
    """As the runtime gets it. For transforms that wait for nothing outside."""
    changed = transform.apply(batch)
    if isinstance(changed, Batch):
        return changed
    turns = changed.__await__()
    try:
        while True:
            next(turns)
    except StopIteration as done:
        answer: Batch = done.value
        return answer
