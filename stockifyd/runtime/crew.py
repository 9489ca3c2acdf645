"""The tasks of a pipeline's lanes: started, stopped, and restarted where what failed was not ours any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from stockifyd.api import Fenced
from stockifyd.runtime.lane import Lane
from stockifyd.runtime.tasks import cancelled


class Crew:
    """One task a lane. `failed` is called with what ends one."""

    def __init__(self, pipeline: str, failed: Callable[[BaseException], None]) -> None:
        self._pipeline = pipeline
        self._failed = failed
        self._lanes: dict[asyncio.Task[None], Lane] = {}

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Those that are at work."""
        return set(self._lanes)

    def start(self, lanes: Sequence[Lane]) -> None:
        """Put these lanes to work."""
        for lane in lanes:
            task = asyncio.create_task(lane.run(), name=f"{self._pipeline} lane")
            self._lanes[task] = lane
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel all, and wait until they have ended."""
        tasks = list(self._lanes)
        self._lanes.clear()
        for task in tasks:
            await cancelled(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A lane only ends by failing. Fenced for what was given away meanwhile is no trouble."""
        lane = self._lanes.pop(task, None)
        if lane is None or task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, Fenced) and lane.holds_only_lost:
            lane.abandon()
            self.start([lane])
        else:
            self._failed(error)
