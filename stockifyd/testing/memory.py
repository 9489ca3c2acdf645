"""The far side of the fakes: a topic to read from and a store to write to, both in memory and both open to a test."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar, Literal, Self
from weakref import WeakValueDictionary

from stockifyd.api import Batch, DeadLetter, Message, Partition, Position, Row, Span
from stockifyd.testing.making import PARTITION


class Named:
    """Found by name, since a spec's options hold plain values; lives as long as the test that made it holds it."""

    _known: ClassVar[WeakValueDictionary[str, Named]] = WeakValueDictionary()
    _numbers: ClassVar[count[int]] = count(1)

    def __init__(self, name: str = "") -> None:
        self.name = name or f"{type(self).__name__}-{next(self._numbers)}"
        self._known[self.name] = self
        self._changed = asyncio.Event()

    @classmethod
    def named(cls, name: str) -> Self:
        """The one of this name; LookupError if no test holds it."""
        found = cls._known.get(name)
        if isinstance(found, cls):
            return found
        raise LookupError(f"no {cls.__name__} is called {name!r}")

    def changed(self) -> None:
        """Wake whoever waits in `until`."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, true: Callable[[Self], bool]) -> None:
        """Wait, without polling, for something to be true of this; bound it with `asyncio.timeout`."""
        while not true(self):
            await self.next_change()

    async def next_change(self) -> None:
        """Wait until anything happens to this."""
        await self._changed.wait()


@dataclass(frozen=True, slots=True)
class Commit:
    """One committed write: who, and what. A plain sink has no owner's number and moves no span."""

    batch: Batch
    owner: int = 0

    @property
    def spans(self) -> Mapping[Partition, Span]:
        """How far each partition moved."""
        return self.batch.advance


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets that a source lost, as a ledger records them."""

    partition: Partition
    span: Span
    reason: str


class MemoryStore(Named):
    """What sinks have made durable, and what their next writes shall suffer. Several sinks on one store fence each other."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.rows: dict[str, list[Row]] = {}
        self.dead_letters: list[DeadLetter] = []
        self.starts: dict[Partition, int] = {}
        self.next: dict[Partition, int] = {}
        self.epochs: dict[Partition, int] = {}
        self.gaps: list[Gap] = []
        self.history: list[Commit] = []
        self.attempts = 0
        """Calls of `write`, also those that failed."""
        self.opened = self.closed = 0
        self.unreachable: Exception | None = None
        """While set, every call of every sink on this store raises it."""
        self.slow_secs = 0.0
        """What a write takes at least."""
        self.reject_row: Callable[[Row], bool] | None = None
        self.reject_by: Literal["row", "batch", "receipt"] = "row"
        """How a bad row is told: Reject that names it, Reject that does not, or a receipt (plain sinks)."""
        self._failures: deque[tuple[Exception, bool]] = deque()
        self._consumers: dict[str, MemoryStore] = {}
        self.held = False

    def of(self, consumer: str) -> MemoryStore:
        """The part of a consumer: offsets of one are none of another's. The first to come has the store itself."""
        if consumer not in self._consumers:
            self._consumers[consumer] = MemoryStore(f"{self.name}/{consumer}") if self._consumers else self
        return self._consumers[consumer]

    @property
    def messages(self) -> list[Message]:
        """Every message written, in order."""
        return [message for commit in self.history for message in commit.batch.messages]

    def fail(self, *errors: Exception) -> None:
        """The next writes raise these, one each, and store nothing."""
        self._failures.extend((error, False) for error in errors)

    def lose_answer(self, *errors: Exception) -> None:
        """The next writes are committed, and raise these all the same."""
        self._failures.extend((error, True) for error in errors)

    def hold(self) -> None:
        """Writes wait, before they store anything, until `release`."""
        self.held = True

    def release(self) -> None:
        """Let held writes go on."""
        self.held = False
        self.changed()

    async def admit(self) -> Exception | None:
        """What a write goes through before it commits; answers with the error to raise afterwards."""
        self.attempts += 1
        self.changed()
        await asyncio.sleep(self.slow_secs)
        await self.until(lambda store: not store.held)
        self.reach()
        if not self._failures:
            return None
        error, committed = self._failures.popleft()
        if not committed:
            raise error
        return error

    def reach(self) -> None:
        """Raise what stands for a far side that is away."""
        if self.unreachable is not None:
            raise self.unreachable

    def commit(self, commit: Commit) -> None:
        """Rows, dead letters and offsets at once."""
        self.history.append(commit)
        self._add(commit)
        self.changed()

    def rewind(self, commits: int = 1) -> None:
        """Forget the last commits, rows and offsets together, as a failover to a stale server does."""
        kept = self.history[: len(self.history) - commits]
        self.rows, self.dead_letters, self.next, self.history = {}, [], dict(self.starts), kept
        for commit in kept:
            self._add(commit)
        self.changed()

    def breaks(self) -> list[str]:
        """Where the chain of spans is broken, nothing if it is whole from the first claim to `next`."""
        at, found = dict(self.starts), list[str]()
        for commit in self.history:
            for partition, span in commit.spans.items():
                if at.get(partition) != span.base:
                    found.append(f"{partition}: {span} follows {at.get(partition)}")
                at[partition] = span.next
        return found

    def _add(self, commit: Commit) -> None:
        for name, table in commit.batch.tables.items():
            self.rows.setdefault(name, []).extend(table.rows)
        self.dead_letters.extend(commit.batch.rejected)
        self.next.update({partition: span.next for partition, span in commit.spans.items()})


@dataclass(slots=True)
class Log:
    """One partition of a topic: its messages, the first offset still there and the one that comes next."""

    messages: list[Message] = field(default_factory=list)
    start: int = 0
    end: int = 0


class MemoryTopic(Named):
    """What a MemorySource reads: scripted messages over partitions, and what the source was told."""

    def __init__(self, *bodies: bytes | str, partitions: int = 1, endless: bool = False, name: str = "") -> None:
        super().__init__(name)
        self.endless = endless
        numbered = (Partition(PARTITION.topic, number) for number in range(partitions))
        self.logs: dict[Partition, Log] = {partition: Log() for partition in numbered}
        self.assigned: dict[int, frozenset[Partition]] = {}
        """Partitions by instance id; an instance that is not here has all."""
        self.committed: dict[Partition, int] = {}
        self.commits: list[Mapping[Partition, int]] = []
        self.reads = 0
        """How often `read` was called: once, and once for each rewind."""
        self.pauses = self.resumes = 0
        self.failures: deque[Exception] = deque()
        self.add(*bodies)

    @property
    def partitions(self) -> list[Partition]:
        """All partitions, in order."""
        return sorted(self.logs)

    def add(self, *bodies: bytes | str, number: int | None = None) -> list[Message]:
        """Append messages to one partition, or deal them out to all in turn."""
        return [self._append(body, self._next(index, number)) for index, body in enumerate(bodies)]

    def add_hole(self, size: int = 1, number: int = 0) -> None:
        """Offsets without a message: control records, or compacted ones."""
        self.logs[Partition(PARTITION.topic, number)].end += size
        self.changed()

    def lose_before(self, offset: int, number: int = 0) -> None:
        """Retention takes all below an offset."""
        log = self.logs[Partition(PARTITION.topic, number)]
        log.start = offset
        log.messages = [message for message in log.messages if message.position.offset >= offset]
        self.changed()

    def fail(self, *errors: Exception) -> None:
        """The next steps of `read` raise these."""
        self.failures.extend(errors)
        self.changed()

    def assign(self, instance_id: int, partitions: Iterable[Partition]) -> None:
        """A rebalance: from now on this instance has these partitions."""
        self.assigned[instance_id] = frozenset(partitions)
        self.changed()

    def end(self) -> None:
        """No more will come: a source that has read all returns."""
        self.endless = False
        self.changed()

    def of(self, instance_id: int) -> frozenset[Partition]:
        """The partitions of an instance."""
        return self.assigned.get(instance_id, frozenset(self.logs))

    def _next(self, index: int, number: int | None) -> Partition:
        return self.partitions[index % len(self.logs)] if number is None else Partition(PARTITION.topic, number)

    def _append(self, body: bytes | str, partition: Partition) -> Message:
        log = self.logs[partition]
        raw = body.encode() if isinstance(body, str) else body
        message = Message(Position(partition, log.end), raw, timestamp_ms=1_700_000_000_000 + log.end)
        log.messages.append(message)
        log.end += 1
        self.changed()
        return message
