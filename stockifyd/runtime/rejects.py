"""Halting on drift, not on accidents: how many of the last messages were rejected."""

from __future__ import annotations

from collections import deque
from itertools import chain, islice

from stockifyd.api import Batch, DeadLetter, Drift

WINDOW = 1000
IN_A_ROW = 10
AT_LEAST = 10


class Rejects:
    """The outcomes of the last 1,000 messages that are durable, as rows or as dead letters.

    Judged before a batch is written, so that the batch that crosses the line is not stored in part; recorded after, so
    that a batch which comes again is not counted twice.
    """

    def __init__(self) -> None:
        self._last: deque[bool] = deque(maxlen=WINDOW)

    def judge(self, batch: Batch) -> None:
        """Drift where, with this batch, at least 10 and over 1 % of the last 1,000 are rejected, or the last 10 in a row."""
        if not batch.rejected:
            return
        seen = deque(chain(self._last, _outcomes(batch)), maxlen=WINDOW)
        rejected = sum(seen)
        in_a_row = len(seen) >= IN_A_ROW and all(islice(reversed(seen), IN_A_ROW))
        if in_a_row or (rejected >= AT_LEAST and rejected * 100 > len(seen)):
            raise _drift(batch.rejected[-1], rejected, len(seen))

    def record(self, batch: Batch) -> None:
        """The batch is durable."""
        if batch.rejected or any(self._last):
            self._last.extend(_outcomes(batch))

    def forget(self) -> None:
        """An operator has looked: count anew."""
        self._last.clear()


def _outcomes(batch: Batch) -> list[bool]:
    """For each message, in order of position: was it rejected?"""
    if not batch.rejected:
        return [False] * min(len(batch.messages), WINDOW)
    outcomes = [(m.position, False) for m in batch.messages] + [(letter.message.position, True) for letter in batch.rejected]
    return [rejected for _, rejected in sorted(outcomes)]


def _drift(last: DeadLetter, rejected: int, seen: int) -> Drift:
    partition, offset = last.message.position
    return Drift(
        f"{rejected} of the last {seen} messages were rejected, at last {partition.topic}/{partition.number}/{offset}"
        f" by '{last.stage}': {last.reason}",
        hint="mend the producer or the spec, then resume; `delivery: {on_drift: continue}` makes dead letters of them all",
    )
