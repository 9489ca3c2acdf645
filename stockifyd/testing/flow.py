"""A pipeline in miniature, for a test of components together: no retries, no dead letters of a sink, one batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from stockifyd.api import Batch, Component, LedgerSink, Message, Partition, Sink, Source, Span, Transform
from stockifyd.testing.claims import MemoryClaims
from stockifyd.testing.facts import settle


def run(source: Source[Any] | Batch, *components: Component[Any]) -> list[Batch]:
    """As `flow`, on an event loop of its own."""
    return asyncio.run(flow(source, *components))


async def flow(source: Source[Any] | Batch, *components: Component[Any]) -> list[Batch]:
    """Open all, move a bounded source (or one batch) through the transforms into every sink, close all.

    Answers with the batches as the sinks had them. Errors of the components come out as they are.
    """
    async with AsyncExitStack() as stack:
        for component in (*components, *([] if isinstance(source, Batch) else [source])):
            stack.push_async_callback(component.close)
            await component.open()
        sinks = [component for component in components if isinstance(component, Sink)]
        claims = _LedgerClaims([sink for sink in sinks if isinstance(sink, LedgerSink)])
        if isinstance(source, Batch):
            await claims.take({partition: span.base for partition, span in source.advance.items()})
            return [await _deliver(source, components)]
        batches = list[Batch]()
        async for messages in source.read(claims):
            advance = claims.advance(messages, source.positions())
            batches.append(await _deliver(Batch(tuple(messages), advance=advance), components))
        return batches


async def _deliver(batch: Batch, components: Sequence[Component[Any]]) -> Batch:
    for component in components:
        if isinstance(component, Transform):
            batch = await settle(component.apply(batch))
    for component in components:
        if isinstance(component, Sink):
            receipt = await component.write(batch)
            batch = batch.reject(receipt.rejected) if receipt else batch
    return batch


class _LedgerClaims(MemoryClaims):
    """Asks the ledgers; of two, the one that is behind decides, and the other will say Fenced."""

    def __init__(self, ledgers: Sequence[LedgerSink[Any]]) -> None:
        super().__init__()
        self.ledgers = ledgers

    async def take(
        self, starts: Mapping[Partition, int], committed: Mapping[Partition, int] | None = None
    ) -> Mapping[Partition, int]:
        for found in [await ledger.claim(starts) for ledger in self.ledgers]:
            self.next.update({p: min(offset, self.next.get(p, offset)) for p, offset in found.items()})
        return await super().take(starts, committed)

    def advance(self, messages: Sequence[Message], positions: Mapping[Partition, int]) -> Mapping[Partition, Span]:
        """How far these messages, or the source's word, move each partition."""
        ends = {message.position.partition: message.position.offset + 1 for message in messages}
        ends.update(positions)
        spans = {partition: Span(self.next[partition], end) for partition, end in ends.items()}
        self.next.update(ends)
        return spans
