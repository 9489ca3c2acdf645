"""Runs the transforms of one lane over a batch."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from typing import Any

from stockifyd.api import Batch, Reject, Transform
from stockifyd.runtime.attempts import bug
from stockifyd.runtime.isolation import marked, take_out_named
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.taps import SOURCE


class Transforms:
    """Transforms in order; the whole chain answers with one batch."""

    def __init__(self, transforms: Sequence[Transform[Any]], shared: Shared) -> None:
        self._transforms = transforms
        self._shared = shared

    async def apply(self, batch: Batch) -> Batch:
        """The batch as it leaves the last transform, with the dead letters of all."""
        began, taps = time.perf_counter(), self._shared.taps
        if taps.is_open:
            taps.passed(SOURCE, batch)
        for transform in self._transforms:
            batch = await self._isolating(transform, batch)
            if taps.is_open:
                taps.passed(transform.context.name, batch)
        self._shared.counters.transform_secs += time.perf_counter() - began
        return batch

    async def _isolating(self, transform: Transform[Any], batch: Batch) -> Batch:
        """Apply; a Reject that reaches us takes out the message it names, or is searched for."""
        name = transform.context.name
        while True:
            try:
                return marked(await self._once(transform, batch), len(batch.rejected), name)
            except Reject as why:
                smaller = take_out_named(batch, why, name)
                batch = smaller if smaller is not None else await self._search(transform, batch)

    async def _search(self, transform: Transform[Any], batch: Batch) -> Batch:
        """The batch without the messages that the transform rejects when it gets each alone."""
        name, refused = transform.context.name, dict[int, Reject]()
        for index in range(len(batch.messages)):
            try:
                await self._once(transform, _only(batch, index))
            except Reject as why:
                refused[index] = why
        if not refused:
            raise bug(f"transform '{name}'", ValueError("rejects a batch but none of its messages alone"))
        return marked(batch.reject(refused), len(batch.rejected), name)

    async def _once(self, transform: Transform[Any], batch: Batch) -> Batch:
        async def apply() -> Batch:
            changed = transform.apply(batch)
            return await changed if inspect.isawaitable(changed) else changed

        return await self._shared.attempts.until_done(f"transform '{transform.context.name}'", apply)


def _only(batch: Batch, index: int) -> Batch:
    """One message of a batch, alone."""
    return Batch((batch.messages[index],), {name: table.keep((index,)) for name, table in batch.tables.items()})
