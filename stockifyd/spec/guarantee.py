"""What a pipeline promises for each message, by the kind of its source and of its sinks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from stockifyd.api import Component, LedgerSink, Sink, Source
from stockifyd.spec.model import Guarantee

STRONGEST_FIRST: tuple[Guarantee, ...] = get_args(Guarantee)

PLAIN: dict[Guarantee, str] = {
    "exactly_once": "exactly once: rows and offsets in one transaction",
    "effectively_once": "effectively once: after a crash rows are written again, which leaves them once",
    "at_least_once": "at least once: after a crash rows may be there twice",
    "at_most_once": "at most once up to the first sink's answer: what was read and not delivered is lost at a crash",
}


def of_sink(source: type[Component[Any]], sink: type[Component[Any]]) -> Guarantee:
    """What one sink gives behind a source."""
    if issubclass(source, Source) and not source.replayable:
        return "at_most_once"
    if issubclass(sink, LedgerSink):
        return "exactly_once"
    return "effectively_once" if issubclass(sink, Sink) and sink.idempotent else "at_least_once"


def weakest(guarantees: Iterable[Guarantee]) -> Guarantee:
    """A pipeline promises no more than its weakest required sink."""
    return max(guarantees, key=STRONGEST_FIRST.index)
