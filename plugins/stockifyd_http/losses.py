"""Says what was not polled: once when it begins, at most a line every ten seconds while it goes on, once when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

SAY_SECS = 10.0


class Losses:
    """Sums up what many series miss at once: a vendor that is away is one thing, not two hundred."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._polls = 0
        self._first = ("", "")
        self._said = float("-inf")
        self._missing: set[str] = set()

    def missed(self, key: str, reason: str) -> None:
        """A poll brought nothing."""
        self._first = self._first if self._polls else (key, reason)
        self._polls += 1
        self._missing.add(key)

    def found(self, key: str) -> None:
        """A series that missed some is polled again."""
        self._missing.discard(key)

    def say(self) -> None:
        """Called now and then."""
        if self._polls and self._clock() - self._said >= SAY_SECS:
            key, reason = self._first
            self._log.warning("%s brought nothing, first: %s: %s", _polls(self._polls), key, reason)
            self._polls, self._said = 0, self._clock()
        elif self._said != float("-inf") and not self._missing and not self._polls:
            self._log.info("everything is polled again")
            self._said = float("-inf")


def _polls(count: int) -> str:
    return "1 poll" if count == 1 else f"{count} polls"
