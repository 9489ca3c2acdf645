"""The breaker: what is away, said once when it breaks and once when it is back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stockifyd.api import StockifydError, Unavailable


class Breaker:
    """Open while something named is away. `changed` is called at each opening and closing of the whole."""

    def __init__(self, log: logging.Logger, changed: Callable[[], None], *, silence_secs: float = 10.0) -> None:
        self._log = log
        self._changed = changed
        self._silence_secs = silence_secs
        self._broken: dict[str, tuple[StockifydError, float]] = {}

    @property
    def is_open(self) -> bool:
        return bool(self._broken)

    @property
    def reason(self) -> str:
        """What is away and why; empty when nothing is."""
        return "; ".join(f"{name}: {error.reason}" for name, (error, _) in self._broken.items())

    def broken(self, name: str, error: StockifydError) -> None:
        """Something is away. Logged once, until it mends."""
        if name in self._broken:
            self._broken[name] = (error, self._broken[name][1])
            return
        self._broken[name] = (error, time.monotonic())
        self._log.warning("%s is unavailable, waiting for it: %s%s", name, error.reason, hint_of(error))
        self._changed()

    @contextmanager
    def watching(self, name: str) -> Iterator[None]:
        """What does not answer for long is away as well: a pooler keeps its clients waiting while its server is down."""
        silent = Unavailable(f"no answer for {self._silence_secs:g} s")
        late = asyncio.get_running_loop().call_later(self._silence_secs, self.broken, name, silent)
        try:
            yield
        finally:
            late.cancel()

    def mended(self, name: str) -> None:
        """It answers again."""
        if (was := self._broken.pop(name, None)) is not None:
            self._log.warning("%s is back after %.1f s", name, time.monotonic() - was[1])
            self._changed()

    def abandoned(self, name: str) -> None:
        """Nobody waits for it any more; whether it is back nobody knows."""
        if self._broken.pop(name, None) is not None:
            self._changed()

    def forget(self) -> None:
        """What was waited for is not waited for any more."""
        if self._broken:
            self._broken.clear()
            self._changed()


def hint_of(error: StockifydError) -> str:
    """A hint as it is printed below its reason."""
    return f"\n  HINT: {error.hint}" if error.hint else ""
