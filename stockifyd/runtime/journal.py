"""What a healthy pipeline says of its work: at most one line a second."""

from __future__ import annotations

import logging
import time

from stockifyd.api import Batch


class Journal:
    """Sums batches up and logs `Stored 100 messages, last: NIFTY (500 options) in 0.125s`."""

    def __init__(self, log: logging.Logger, every_secs: float) -> None:
        self._log = log
        self._every = every_secs
        self._messages = 0
        self._secs = 0.0
        self._last = ""
        self._said = float("-inf")

    def delivered(self, batch: Batch, secs: float) -> None:
        """A batch is durable."""
        self._messages += len(batch.messages)
        self._secs += secs
        if batch.messages:
            self._last = _described(batch)
        if batch.rejected:
            self._warn(batch)
        if time.monotonic() - self._said >= self._every:
            self.say()

    def say(self) -> None:
        """Log what has come together."""
        if self._messages:
            self._log.info("Stored %d messages, last: %s in %.3fs", self._messages, self._last, self._secs)
            self._messages, self._secs, self._said = 0, 0.0, time.monotonic()

    def _warn(self, batch: Batch) -> None:
        message, reason, stage, *_ = batch.rejected[0]
        (topic, number, _), offset = message.position
        self._log.warning(
            "%d %s, first: %s/%d/%d rejected by '%s': %s",
            (count := len(batch.rejected)), "dead letter" if count == 1 else "dead letters", topic, number, offset, stage, reason,
        )  # fmt: skip


def _described(batch: Batch) -> str:
    """The last message: its key up to the first colon, and the rows of its largest table."""
    key = (batch.messages[-1].key or b"").decode(errors="replace").partition(":")[0] or "no key"
    rows = {name: len(table.of_message(len(batch.messages) - 1)) for name, table in batch.tables.items()}
    if not rows:
        return key
    largest = max(rows, key=lambda name: rows[name])
    return f"{key} ({rows[largest]} {largest})"
