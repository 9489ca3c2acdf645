"""The event loop and the garbage collector of a daemon."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable

SAMPLE_SECS = 0.1
LONG_STALL_SECS = 1.0

log = logging.getLogger("stockifyd.loop")


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop of uvloop where it is installed (extra `fast`), else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415  an extra
    except ImportError:
        return asyncio.new_event_loop()
    make: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return make()


def calm_collector() -> None:
    """What is there at start lives as long as we do; a batch makes many objects and no cycles: collect seldom (ADR 9)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


class LoopLag:
    """How long the loop was blocked: the worst stall of the last while. Heartbeats run on the same loop."""

    def __init__(self) -> None:
        self._worst = self._before = 0.0

    def worst(self) -> float:
        """Seconds; of this half-minute and the one before."""
        return max(self._worst, self._before)

    async def run(self) -> None:
        """Measure until cancelled."""
        turned = time.monotonic()
        while True:
            began = time.monotonic()
            await asyncio.sleep(SAMPLE_SECS)
            stall = time.monotonic() - began - SAMPLE_SECS
            if stall > LONG_STALL_SECS:
                log.warning(
                    "nothing ran for %.1f s: a plugin works on the event loop for too long, or the process was stopped", stall
                )
            if began - turned > 30:  # noqa: PLR2004
                self._before, self._worst, turned = self._worst, 0.0, began
            self._worst = max(self._worst, stall)
