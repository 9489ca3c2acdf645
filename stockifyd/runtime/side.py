"""Sinks that are not required: they get what they can take, and what they cannot is counted and said."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from stockifyd.api import Batch, Sink, StockifydError
from stockifyd.runtime.counters import Counters

WAITING_BATCHES = 4


class SideSink:
    """A `required: false` sink with a bounded queue of its own, so that it never holds up the others."""

    def __init__(self, sink: Sink[Any], counters: Counters, log: logging.Logger) -> None:
        self.sink = sink
        self._counters = counters
        self._log = log
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(WAITING_BATCHES)
        self._is_dropping = False

    def offer(self, batch: Batch) -> None:
        """Take the batch, or drop it."""
        try:
            self._queue.put_nowait(batch)
        except asyncio.QueueFull:
            self._dropped(batch, "its queue is full")

    async def run(self) -> None:
        """Write what is offered, until cancelled."""
        while True:
            batch = await self._queue.get()
            try:
                receipt = await self.sink.write(batch)
            except StockifydError as error:
                self._dropped(batch, error.reason)
            except Exception as error:  # noqa: BLE001 - a stranger's sink may raise anything
                self._log.debug("sink '%s' raised", self.sink.context.name, exc_info=True)
                self._dropped(batch, f"it raised {type(error).__name__}")
            else:
                self._is_dropping = False
                self._counters.wrote(self.sink.context.name, batch, receipt)

    def _dropped(self, batch: Batch, why: str) -> None:
        name = self.sink.context.name
        self._counters.dropped[name] = self._counters.dropped.get(name, 0) + len(batch.messages)
        if not self._is_dropping:
            self._is_dropping = True
            self._log.warning("sink '%s' is not required and drops batches: %s", name, why)
