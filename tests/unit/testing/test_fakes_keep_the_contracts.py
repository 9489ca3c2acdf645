"""The fakes keep the contracts that they stand in for."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Batch, Row, Unavailable
from stockifyd.testing import (
    LedgerContract,
    MemoryLedger,
    MemoryRows,
    MemorySink,
    MemorySource,
    MemoryStore,
    MemoryTopic,
    SinkContract,
    SourceContract,
    TransformContract,
    make_message,
)


class StoreHooks:
    """One store for each test, broken by a word."""

    store: MemoryStore
    in_process = True

    @pytest.fixture(autouse=True)
    def a_store(self) -> Iterator[None]:
        self.store = MemoryStore()
        yield

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"store": self.store.name}

    def stored(self, sink: Any) -> list[Row]:
        return self.store.rows.get("options", [])

    def break_it(self, component: Any) -> None:
        self.store.unreachable = Unavailable("the store is away")

    def mend_it(self, component: Any) -> None:
        self.store.unreachable = None
        self.store.slow_secs = 0

    def slow_it(self, component: Any) -> None:
        self.store.slow_secs = 0.001

    def bad_row(self) -> Row:
        self.store.reject_row = lambda row: row[0] == -1
        return -1, "bad"


class TestMemorySink(StoreHooks, SinkContract[MemorySink]):
    sink = MemorySink


class TestMemorySinkWithReceipts(StoreHooks, SinkContract[MemorySink]):
    sink = MemorySink

    def bad_row(self) -> Row:
        self.store.reject_by = "receipt"
        return super().bad_row()


class TestMemorySinkThatNamesNoRow(StoreHooks, SinkContract[MemorySink]):
    sink = MemorySink

    def bad_row(self) -> Row:
        self.store.reject_by = "batch"
        return super().bad_row()


class TestMemorySinkOfOneTable(StoreHooks, SinkContract[MemorySink]):
    sink = MemorySink

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"store": self.store.name, "tables": ["options"]}


class TestMemoryLedger(StoreHooks, LedgerContract[MemoryLedger]):
    sink = MemoryLedger

    def dead_letters(self, sink: MemoryLedger) -> list[tuple[int, str]]:
        return [(letter.message.position.offset, letter.reason) for letter in self.store.dead_letters]


class TestMemoryRows(TransformContract[MemoryRows]):
    transform = MemoryRows

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"rows_each": 2}

    def batch(self) -> Batch:
        bodies = (b"one", b"bad", b"three", b"\xff")
        return Batch(tuple(make_message(offset, body) for offset, body in enumerate(bodies)))


class TestMemorySource(SourceContract[MemorySource]):
    source = MemorySource
    topic: MemoryTopic
    in_process = True

    @pytest.fixture(autouse=True)
    def a_topic(self) -> None:
        self.topic = MemoryTopic(partitions=2, endless=not self.bounded)

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"topic": self.topic.name, "idle_ms": 1, "read_max_messages": 3}

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        self.topic.add(*bodies)

    def break_it(self, component: MemorySource) -> None:
        self.topic.fail(Unavailable("the topic is away"))

    def mend_it(self, component: MemorySource) -> None:
        self.topic.failures.clear()


class TestMemorySourceThatIsEndless(TestMemorySource):
    bounded = False

    def take_away(self, source: MemorySource) -> None:
        self.topic.assign(source.context.instance_id, [])

    def give_back(self, source: MemorySource) -> None:
        self.topic.assign(source.context.instance_id, self.topic.partitions)
