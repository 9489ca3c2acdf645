"""Whether the daemon is well, for systemd's watchdog, and a line that says how it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from stockifyd.daemon.notify import Notify
from stockifyd.daemon.status import PipelineStatus
from stockifyd.runtime.state import State

STATUS_SECS = 5.0
STUCK_SECS = 90.0
"""No message delivered for so long, though there are some and nothing is away. Longer than a source takes to connect anew."""


class Wellbeing:
    """Pings while every pipeline that should move does. A database that is away is no reason to be restarted."""

    def __init__(
        self, statuses: Callable[[], list[PipelineStatus]], notify: Notify, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._statuses, self._notify, self._clock = statuses, notify, clock
        self._moved: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Until cancelled: pings at half of what systemd waits, and the line. A blocked loop pings nobody."""
        every = min(STATUS_SECS, self._notify.watchdog_secs / 2 or STATUS_SECS)
        while True:
            if not self.stuck():
                self._notify.well()
            self._notify.status(self.line())
            await asyncio.sleep(every)

    def stuck(self) -> list[str]:
        """Pipelines that run, have something to deliver and have not for too long."""
        limit, now = max(STUCK_SECS, 2 * self._notify.watchdog_secs), self._clock()
        found = []
        for status in self._statuses():
            delivered, since = self._moved.get(status.name, (-1, now))
            if status.state != State.RUNNING or not status.lag or delivered != status.messages_delivered:
                self._moved[status.name] = (status.messages_delivered, now)
            elif now - since > limit:
                found.append(status.name)
        return found

    def line(self) -> str:
        """`storage running, 1,234 messages/s, lag 12; reload refused: ...`, one for each pipeline."""
        return "; ".join(map(_of, self._statuses())) or "no pipeline"


def _of(status: PipelineStatus) -> str:
    rate = f", {status.messages_per_sec:,.0f} messages/s" if status.messages_per_sec else ""
    lag = f", lag {status.lag:,}" if status.lag else ""
    why = f": {status.reason}" if status.reason else ""
    last = status.last_reload
    reload = f"; reload {last.outcome.replace('_', ' ')}: {last.reason}" if last and last.is_refused else ""
    return f"{status.name} {status.state}{rate}{lag}{why}{reload}"
