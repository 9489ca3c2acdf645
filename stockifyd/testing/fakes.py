"""Sinks and a transform in memory, for tests of a runtime and of plugins; they keep the same contracts as real ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import (
    Batch,
    Component,
    Config,
    Context,
    Drift,
    Fenced,
    LedgerSink,
    Message,
    Partition,
    Receipt,
    Reject,
    Row,
    Sink,
    Span,
    Tables,
    Transform,
    hookimpl,
)
from stockifyd.testing.making import COLUMNS, TABLE
from stockifyd.testing.memory import Commit, Gap, MemoryStore
from stockifyd.testing.memory_source import MemorySource


class MemoryRowsOptions(Config, frozen=True):
    table: Annotated[str, Meta(description="The table to make.")] = TABLE
    rows_each: Annotated[int, Meta(ge=0, description="Rows a message becomes.")] = 1


class MemoryRows(Transform[MemoryRowsOptions]):
    """Makes rows (offset x rows_each + n, text) of each message; one that starts with `bad` is rejected."""

    type = "memory_rows"

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten(self.config.table, COLUMNS, self._rows)

    def tables(self, before: Tables) -> Tables:
        return {**before, self.config.table: COLUMNS}

    def _rows(self, message: Message) -> list[Row]:
        try:
            text = message.raw.decode()
        except UnicodeDecodeError as error:
            raise Reject("not text") from error
        if text.startswith("bad"):
            raise Reject("says that it is bad")
        each = self.config.rows_each
        return [(message.position.offset * each + n, text) for n in range(each)]


class MemorySinkOptions(Config, frozen=True):
    store: Annotated[str, Meta(description="The name of a MemoryStore.")]
    tables: Annotated[tuple[str, ...], Meta(description="The tables to keep; none: all.")] = ()

    def of(self, batch: Batch) -> Batch:
        """The batch with the tables to keep."""
        return replace(batch, tables={name: batch.tables[name] for name in self.tables}) if self.tables else batch


class MemorySink(Sink[MemorySinkOptions]):
    """Keeps what it is given in a MemoryStore: at least once."""

    type = "memory"

    @property
    def store(self) -> MemoryStore:
        """Where everything goes."""
        return MemoryStore.named(self.config.store)

    async def open(self) -> None:
        self.store.reach()
        self.store.opened += 1

    async def write(self, batch: Batch) -> Receipt:
        lost = await self.store.admit()
        batch = self.config.of(batch)
        refused = _refuse(self.store, batch) if self.store.reject_by == "receipt" else {}
        if not refused:
            _reject(self.store, batch)
        kept = batch.keep([index for index in range(len(batch.messages)) if index not in refused])
        self.store.commit(Commit(Batch(kept.messages, kept.tables)))
        if lost:
            raise lost
        return Receipt(rows=kept.row_count, rejected=refused)

    def wants(self) -> Tables:
        return dict.fromkeys(self.config.tables, ())

    async def close(self) -> None:
        self.store.closed += 1


class MemoryLedger(LedgerSink[MemorySinkOptions]):
    """Keeps rows, dead letters and offsets in a MemoryStore, at once: exactly once."""

    type = "memory_ledger"

    def __init__(self, config: MemorySinkOptions, context: Context) -> None:
        super().__init__(config, context)
        self.epochs: dict[Partition, int] = {}

    @property
    def store(self) -> MemoryStore:
        """Where everything of this consumer goes."""
        return MemoryStore.named(self.config.store).of(self.context.consumer)

    async def open(self) -> None:
        self.store.reach()
        self.store.opened += 1

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        self.store.reach()
        return {p: self.store.next[p] for p in partitions if p in self.store.next}

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        store = self.store
        store.reach()
        for partition in sorted(starts):
            if partition not in store.next:
                store.starts[partition] = store.next[partition] = starts[partition]
            self.epochs[partition] = store.epochs[partition] = store.epochs.get(partition, 0) + 1
        store.changed()
        return {partition: store.next[partition] for partition in starts}

    async def write(self, batch: Batch) -> Receipt:
        lost = await self.store.admit()
        batch = self.config.of(batch)
        _reject(self.store, batch)
        for partition, span in batch.advance.items():
            self._compare(partition, span)
        owner = max((self.epochs[partition] for partition in batch.advance), default=0)
        self.store.commit(Commit(batch, owner))
        if lost:
            raise lost
        return Receipt(rows=batch.row_count)

    async def recognise(self, messages: Sequence[Message]) -> None:
        known = {message.position: message.raw for message in self.store.messages}
        for message in messages:
            if known.get(message.position, message.raw) != message.raw:
                raise Drift(f"{message.position}: another message was stored", hint="was the topic made anew?")

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        self._compare(partition, span)
        self.store.gaps.append(Gap(partition, span, reason))
        self.store.commit(Commit(Batch((), advance={partition: span}), self.epochs[partition]))

    def wants(self) -> Tables:
        return dict.fromkeys(self.config.tables, ())

    async def close(self) -> None:
        self.store.closed += 1

    def _compare(self, partition: Partition, span: Span) -> None:
        mine, at = self.epochs.get(partition), self.store.next.get(partition)
        if mine is None or mine != self.store.epochs.get(partition) or at != span.base:
            raise Fenced(f"{partition.topic}/{partition.number} is at {at}, not at {span.base}, or not ours")


def _bad_rows(store: MemoryStore, batch: Batch) -> Iterable[tuple[str, int]]:
    bad = store.reject_row
    return ((name, n) for name, table in batch.tables.items() for n, row in enumerate(table.rows) if bad and bad(row))


def _refuse(store: MemoryStore, batch: Batch) -> dict[int, str]:
    return {batch.tables[name].message_of(row): f"row {row} of {name} is bad" for name, row in _bad_rows(store, batch)}


def _reject(store: MemoryStore, batch: Batch) -> None:
    for name, row in _bad_rows(store, batch):
        if store.reject_by == "row":
            raise Reject(f"row {row} of {name} is bad", table=name, row=row, code="M0001")
        raise Reject("a row is bad", code="M0001")


@hookimpl
def stockifyd_components() -> Iterable[type[Component[Any]]]:
    """So that a spec may name the fakes: `--plugin`, or a registry made by a test."""
    return MemorySource, MemoryRows, MemorySink, MemoryLedger
