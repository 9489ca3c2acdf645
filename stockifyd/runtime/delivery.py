"""Brings a batch to all sinks of one lane: retries what may pass, isolates what never will, waits for what is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from stockifyd.api import Batch, DeadLetter, Drift, LedgerSink, Receipt, Reject, Sink, StockifydError, Table
from stockifyd.runtime.attempts import bug
from stockifyd.runtime.isolation import believable, halve, index_of, lacking, take_out, take_out_named
from stockifyd.runtime.ledgers import Ledgers
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.side import SideSink

DEAD_LETTER_COLUMNS = ("topic", "partition", "offset", "timestamp_ms", "stage", "code", "reason", "row", "key", "payload")


class Delivery:
    """One lane's way to its sinks: those without a ledger side by side, then dead letters, then the ledgers in turn."""

    def __init__(
        self,
        sinks: Sequence[Sink[Any]],
        ledgers: Ledgers,
        shared: Shared,
        *,
        dead_letters: Sink[Any] | None = None,
        optional: Sequence[SideSink] = (),
    ) -> None:
        self._plain = [s for s in sinks if not isinstance(s, LedgerSink)]
        self._ledgers = ledgers
        self._shared = shared
        self._dead_letters = dead_letters
        self._optional = optional

    def when_sent(self, call: Callable[[], None]) -> None:
        """Call this when the last sink in order says that it has sent a batch and awaits the answer."""
        for sink in (*self._plain, *self._ledgers.sinks)[-1:]:
            sink.on_sent = call

    async def prepare(self, batch: Batch) -> None:
        """Let sinks do what they can ahead, for a batch that `deliver` is to bring."""
        for sink in (*self._plain, *self._ledgers.sinks):
            try:
                await sink.prepare(batch)
            except StockifydError as error:  # `write` meets it again, and there it is dealt with
                sink.context.log.debug("a batch could not be prepared", extra={"reason": error.reason})
            except Exception as error:
                raise bug(f"sink '{sink.context.name}'", error) from error

    async def deliver(self, batch: Batch) -> Batch:
        """Returns when the batch is durable in every required sink; answers with what is left of it after rejections."""
        self._judge(batch)
        for side in self._optional:
            side.offer(batch)
        batch = await self._side_by_side(batch)
        if batch.rejected and not self._ledgers.sinks:
            await self._store_dead_letters(batch.rejected)
        for sink in self._ledgers.sinks:
            lack = lacking(batch, self._ledgers.next[sink.context.name])
            if lack.advance or lack.messages:
                before = len(lack.rejected)
                written = await self._write(sink, lack)
                batch = take_out(batch, index_of(batch, written.rejected[before:]))
        if self._shared.rejects:
            self._shared.rejects.record(batch)
        return batch

    async def _side_by_side(self, batch: Batch) -> Batch:
        if not self._plain or not batch.messages:
            return batch
        if len(self._plain) == 1:
            return await self._write(self._plain[0], batch)
        try:
            async with asyncio.TaskGroup() as group:
                writes = [group.create_task(self._write(sink, batch)) for sink in self._plain]
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from several
        before = len(batch.rejected)
        letters = {letter.message.position: letter for w in writes for letter in w.result().rejected[before:]}
        return take_out(batch, index_of(batch, list(letters.values())))

    async def _write(self, sink: Sink[Any], batch: Batch) -> Batch:
        """Write until durable; messages that can never be written join the dead letters."""
        while True:
            try:
                receipt = await self._persist(sink, batch)
            except Reject as why:
                smaller = take_out_named(batch, why, sink.context.name)
                if smaller is None:
                    return await self._write_halves(sink, batch)
                self._judge(smaller)
                batch = smaller
                if not batch.messages and not isinstance(sink, LedgerSink):
                    return batch
                continue
            self._ledgers.moved(sink, batch)
            return self._received(sink, batch, receipt)

    async def _write_halves(self, sink: Sink[Any], batch: Batch) -> Batch:
        """Both halves, in order; the first stays durable if the second fails."""
        first, second = halve(batch)
        before = len(batch.rejected)
        done = [await self._write(sink, first), await self._write(sink, second)]
        already = {letter.message.position for letter in batch.rejected[:before]}
        letters = [letter for part in done for letter in part.rejected if letter.message.position not in already]
        return take_out(batch, index_of(batch, letters))

    def _received(self, sink: Sink[Any], batch: Batch, receipt: Receipt | None) -> Batch:
        name = sink.context.name
        self._shared.counters.wrote(name, batch, receipt)
        if not receipt or not receipt.rejected:
            return batch
        letters = {i: DeadLetter(batch.messages[i], why, name) for i, why in receipt.rejected.items()}
        batch = take_out(batch, letters)
        self._judge(batch)
        return batch

    async def _persist(self, sink: Sink[Any], batch: Batch) -> Receipt | None:
        """One sink, one batch, until it is durable or refused."""

        async def write() -> Receipt | None:
            async with self._ledgers.locks[id(sink)]:
                began = time.perf_counter()
                receipt = await sink.write(batch)
                self._shared.counters.write_secs += time.perf_counter() - began
            return believable(receipt, batch, sink)

        return await self._shared.attempts.until_done(f"sink '{sink.context.name}'", write)

    async def _store_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        if self._dead_letters is None:
            first = letters[0]
            partition, offset = first.message.position
            raise Drift(
                f"{partition.topic}/{partition.number}/{offset} was rejected by '{first.stage}': {first.reason};"
                " no sink keeps dead letters",
                hint="add `delivery: {dead_letters: {sink: {type: ...}}}` to the spec",
            )
        batch = _as_batch(letters)
        written = await self._write(self._dead_letters, batch)
        if written.rejected:
            raise Drift(f"'{self._dead_letters.context.name}' refuses a dead letter: {written.rejected[0].reason}")

    def _judge(self, batch: Batch) -> None:
        if self._shared.rejects:
            self._shared.rejects.judge(batch)


def _as_batch(letters: Sequence[DeadLetter]) -> Batch:
    """Dead letters as an ordinary batch with one table, `dead_letters`, a row a message."""
    rows = [
        (*m.position.partition[:2], m.position.offset, m.timestamp_ms, stage, code, reason, row, m.key, m.raw)
        for m, reason, stage, code, row in letters
    ]
    table = Table(DEAD_LETTER_COLUMNS, rows, list(range(1, len(rows) + 1)))
    return replace(Batch(tuple(letter.message for letter in letters)), tables={"dead_letters": table})
