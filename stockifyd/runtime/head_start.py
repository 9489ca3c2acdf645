"""When the next batch may be made: once the one before it is on its way."""

from __future__ import annotations

import asyncio

from stockifyd.api import Batch


class HeadStart:
    """Holds a written batch, and the place that it had, until a sink says that it has sent the one behind it; for `secs` at most.

    Making a batch and freeing one hold the event loop, each for many milliseconds: what the sink has to send goes first.
    """

    def __init__(self, secs: float) -> None:
        self._secs = secs
        self._timer: asyncio.TimerHandle | None = None
        self._held: tuple[asyncio.Semaphore, Batch] | None = None

    def give(self, slots: asyncio.Semaphore, written: Batch) -> None:
        """The batch behind this one is the sink's now."""
        self.end()
        self._held = (slots, written)
        self._timer = asyncio.get_running_loop().call_later(self._secs, self.end)

    def end(self) -> None:
        """It is sent: free the place, and the batch, at the loop's next turn."""
        if self._timer is not None and self._held is not None:
            self._timer.cancel()
            asyncio.get_running_loop().call_soon(_let_go, *self._held)
        self._timer = self._held = None


def _let_go(slots: asyncio.Semaphore, _written: Batch) -> None:
    """With this call the last reference to the batch ends."""
    slots.release()
