"""How far everything is durable, and telling the source so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

from stockifyd.api import Batch, Partition, Source, StockifydError
from stockifyd.runtime.timing import Timing


class Checkpoints:
    """The next offset of each partition that is durable in every required sink; committed at most once a second."""

    def __init__(self, source: Source[Any], timing: Timing, log: logging.Logger) -> None:
        self.durable: dict[Partition, int] = {}
        self.known: dict[Partition, int] = {}
        """The same of every partition that was ever ours, as far as we have seen it."""
        self._uncommitted: dict[Partition, int] = {}
        self._source = source
        self._timing = timing
        self._log = log
        self._one_at_a_time = asyncio.Lock()

    def claimed(self, offsets: Mapping[Partition, int]) -> None:
        """These are ours, and durable so far."""
        self.durable.update(offsets)
        self.known.update(offsets)

    def reached(self, batch: Batch) -> None:
        """A batch is durable in every required sink."""
        moved = {partition: span.next for partition, span in batch.advance.items()}
        self.durable |= moved
        self.known |= moved
        self._uncommitted |= moved

    def forget(self, partitions: Collection[Partition]) -> None:
        """These are not ours any more."""
        for partition in tuple(partitions):
            self.durable.pop(partition, None)
            self._uncommitted.pop(partition, None)

    def unclaim(self) -> None:
        """Nothing is ours any more; what is durable may still be committed."""
        self.durable.clear()

    async def commit(self) -> None:
        """Tell the source what it has not been told yet."""
        async with self._one_at_a_time:
            offsets, self._uncommitted = self._uncommitted, {}
            if not offsets:
                return
            try:
                await self._source.commit(offsets)
            except StockifydError as error:
                self._uncommitted = offsets | self._uncommitted
                self._log.info("offsets are not committed yet: %s", error.reason)

    async def run(self) -> None:
        """Commit every second what has moved, until cancelled."""
        while True:
            await asyncio.sleep(self._timing.commit_secs)
            await self.commit()
