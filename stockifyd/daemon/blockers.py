"""Who blocks the event loop: seen from a thread beside it, and named by component, file and line."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from types import FrameType

from stockifyd.api import Component

BEAT_SECS = 0.5
BLOCKED_SECS = 2.0
"""Twice is too late for heartbeats of a session of six seconds."""

log = logging.getLogger("stockifyd.loop")


class Blockers:
    """The loop beats; where it has not for a while, the thread looks at what it runs."""

    def __init__(self, *, blocked_secs: float = BLOCKED_SECS) -> None:
        self.found = ""
        """The last one, as it was named."""
        self._blocked_secs = blocked_secs
        self._beat = time.monotonic()
        self._loop_thread = threading.get_ident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="blockers", daemon=True)

    async def run(self) -> None:
        """Beat until cancelled."""
        self._beat = time.monotonic()
        self._thread.start()
        try:
            while True:
                self._beat = time.monotonic()
                await asyncio.sleep(min(BEAT_SECS, self._blocked_secs / 4))
        finally:
            self._over.set()

    def _look(self) -> None:
        said = 0.0
        while not self._over.wait(self._blocked_secs / 4):
            beat = self._beat
            if time.monotonic() - beat > self._blocked_secs and beat != said:
                said = beat
                self.found = self._name(sys._current_frames().get(self._loop_thread))  # noqa: SLF001 - the way to see it
                log.error("the event loop is blocked for over %g s by %s", self._blocked_secs, self.found)

    def _name(self, frame: FrameType | None) -> str:
        """The component whose method is on the stack, where there is one; and where it is."""
        where = f"{frame.f_code.co_qualname} at {frame.f_code.co_filename}:{frame.f_lineno}" if frame else "nobody knows what"
        while frame is not None:
            if isinstance(one := frame.f_locals.get("self"), Component):
                return f"'{one.context.name}' of pipeline '{one.context.pipeline}', in {where}"
            frame = frame.f_back
        return where
