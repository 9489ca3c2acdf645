"""Messages as runs, so that the runtime looks at each run, and not at each message: by `_runs` in C, or, without it, here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stockifyd.api import Message, Partition

try:
    from stockifyd.runtime import _runs
except ImportError:  # no compiler where it was installed: the same runs, at five times the cost
    _runs = None  # type: ignore[assignment]


class Run(NamedTuple):
    """Messages side by side in a list that are of one partition and whose offsets rise."""

    partition: Partition
    first: int
    """The offset of its first message."""
    next: int
    """The offset behind its last one."""
    stop: int
    """The index in the list behind it; it begins where the run before ends."""
    bytes: int
    """Of the raw values."""


def runs(messages: Sequence[Message]) -> list[Run]:
    """The runs of a list, in order. Where a partition's messages come together they are few."""
    return plain_runs(messages) if _runs is None else _runs.runs(Run, messages)


def plain_runs(messages: Sequence[Message]) -> list[Run]:
    """What `_runs` does."""
    found: list[Run] = []
    before, first, expected, size = None, 0, 0, 0
    for index, message in enumerate(messages):
        partition, offset = message.position
        if partition is not before or offset < expected:
            if before is not None:
                found.append(Run(before, first, expected, index, size))
            before, first, size = partition, offset, 0
        expected = offset + 1
        size += len(message.raw)
    if before is not None:
        found.append(Run(before, first, expected, len(messages), size))
    return found
