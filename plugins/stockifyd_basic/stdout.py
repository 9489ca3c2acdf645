"""The sink `stdout`: rows or messages as JSON lines, for looking."""

from __future__ import annotations

import asyncio
import select
from os import write
from typing import Annotated, ClassVar
from weakref import WeakKeyDictionary

from msgspec import Meta

from stockifyd.api import Batch, Config, Drift, Receipt, Sink, Tables
from stockifyd_basic.arriving import Word, arrived
from stockifyd_basic.lines import messages_as_json, rows_as_json

PIECE = select.PIPE_BUF
"""A pipe that can be written to takes so many bytes without waiting."""
TURN = 64
"""Pieces until others have their turn."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class StdoutOptions(Config, frozen=True):
    """What is printed."""

    table: Annotated[
        Word | None,
        Meta(description="The table whose rows are printed; default: messages are, a value each.", examples=["options"]),
    ] = None


class Stdout(Sink[StdoutOptions]):
    """Prints rows of a table, or the values of messages, one JSON line each. For looking: what is printed is nowhere stored.

    A reader that is slow makes the pipeline wait; one that goes away halts it.
    """

    type = "stdout"
    descriptor: ClassVar[int] = 1

    async def write(self, batch: Batch) -> Receipt:
        """Print all of it. Drift when nobody reads it any more."""
        if self.config.table is None:
            lines, rows = messages_as_json(batch.messages), len(batch.messages)
        else:
            table = arrived(batch, self.config.table)
            lines, rows = rows_as_json(self.config.table, table), len(table.rows)
        # Pipelines and lanes share one standard output: a line of one is not cut by another.
        async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            await self._print(lines)
        return Receipt(rows=rows)

    def wants(self) -> Tables:
        """The table, if one is named."""
        return {} if self.config.table is None else {self.config.table: ()}

    async def _print(self, lines: bytes) -> None:
        """Without blocking the event loop, and without making the terminal, which others share, non-blocking."""
        left, pieces = memoryview(lines), 0
        try:
            while left:
                if not select.select([], [self.descriptor], [], 0)[1]:
                    await self._writable()
                    continue
                left = left[write(self.descriptor, left[:PIECE]) :]
                pieces += 1
                if pieces % TURN == 0:
                    await asyncio.sleep(0)
        except OSError as error:
            raise Drift(
                f"standard output: {error.strerror}", hint="start it again with a reader, or take another sink"
            ) from error

    async def _writable(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self.descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self.descriptor)
