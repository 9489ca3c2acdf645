"""Source, Transform and Sink: subclass one, write one method."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from stockifyd.api.batch import Batch, Message, Partition, Receipt, Span
from stockifyd.api.errors import Drift
from stockifyd.api.options import Config

Tables = Mapping[str, Sequence[str]]
"""Table names, each with its columns in order."""


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Context:
    """Where a component runs. `consumer` is who reads: the Kafka group, else the pipeline's name.

    `tables` are those that reach this component with their columns, where all transforms before it say so; else None.
    `now` says what time it is, in UTC. Ask it and no other clock wherever the time decides about a message or a row: a
    test puts the hands where it wants them. How long something takes is `time.monotonic`'s business.
    """

    pipeline: str
    name: str
    log: logging.Logger
    instance_id: int = 1
    total_instances: int = 1
    consumer: str = ""
    tables: Tables | None = None
    now: Callable[[], datetime] = utc_now


C = TypeVar("C", bound=Config)


class Component(ABC, Generic[C]):
    """`type` is the word users write after `type:`. The class docstring is its help text.

    The constructor does no I/O and need not be overridden. `open` is called before any other method and may raise
    Unavailable: it is called again, after a pause. `close` is called once, also after a failed `open`.
    """

    type: ClassVar[str]

    def __init__(self, config: C, context: Context) -> None:
        self.config = config
        self.context = context

    async def open(self) -> None:
        """Connect; check what is there. May raise Unavailable (called again) and Drift (the pipeline halts)."""

    async def probe(self) -> Sequence[str]:
        """Findings for `stockifyd doctor`, each with its cure. Read only."""
        return ()

    async def close(self) -> None:
        """Let go of everything. Called once, at the end, whatever happened before."""


class Transform(Component[C]):
    """Turns a batch into a batch. Called in order, one batch at a time, never in parallel with itself.

    The same input must give the same output: after a crash a batch is transformed again. State is a cache that may be
    empty at any time. `async def apply` may look things up; a plain `def` over 50 ms a batch belongs in a thread.
    """

    @abstractmethod
    def apply(self, batch: Batch) -> Batch | Awaitable[Batch]:
        """The batch, changed. Reject inside `batch.map` or `batch.flatten` takes one message out."""

    def tables(self, before: Tables) -> Tables | None:
        """The tables that leave, given those that come in; None where it cannot be told. Static: `validate` asks."""
        return None

    def rehearse(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take these rows for all that is outside: `apply` asks nobody else. For a transform whose `apply` looks things up.

        `stockifyd test` calls it in place of `open`, once, with what a case says under `outside`, its values as YAML has them. A
        transform that overrides it is never opened by a case, which must then say what there is. No I/O. May raise ValueError,
        which is told at its place in the test file: one that ends in " - at `$[2].price`", as msgspec's do, at that value.
        """
        raise ValueError("this transform takes nothing from outside")


class Sink(Component[C]):
    """Makes a batch durable. At least once: after a crash or Retry the same messages come again.

    `idempotent = True` is a promise that writing the same rows twice leaves them once.
    """

    idempotent: ClassVar[bool] = False
    on_sent: Callable[[], None] | None = None
    """The runtime's: what `sent` calls."""

    def sent(self) -> None:
        """For `write` to say that the batch is on its way, and that it mostly waits from now on. None need say so.

        The runtime then makes the next batch, on the same event loop. Where a sink does not say it, that begins a little
        after `write`.
        """
        if self.on_sent is not None:
            self.on_sent()

    async def prepare(self, batch: Batch) -> None:
        """Do ahead what `write` can do of this batch without its far side: it is called while the batch before is written.

        `write` need not follow, or may bring another batch. What is wrong with the batch is for `write` to raise.
        """

    @abstractmethod
    async def write(self, batch: Batch) -> Receipt | None:
        """When this returns, every row of the batch is durable, but those named in `Receipt.rejected`.

        Called one batch at a time, in order. May be cancelled at shutdown: then the batch counts as not written.
        """

    def wants(self) -> Tables:
        """The tables that the options name, with the columns they name (none: all). Static: `validate` asks."""
        return {}

    @classmethod
    def into(cls, config: C, schema: str) -> C | None:  # noqa: ARG003  a sink that has schemas reads them
        """The options with which the same tables go into another schema; None where there is no such thing. `replay` asks.

        Static. May raise Drift where that is no other place, ValueError where it cannot be a schema's name.
        """
        return None


class LedgerSink(Sink[C]):
    """A sink that stores progress with the rows, in one transaction: exactly once."""

    @abstractmethod
    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """The next offset of each of these that the ledger knows. Read only: owns nothing, fences nobody.

        Called before a claim, and every few seconds between writes: where the answer is not what we left there (a
        failover to a stale server), the runtime claims again and the source replays.
        """

    @abstractmethod
    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        """Own these partitions and fence whoever owned them; answer with each one's next offset.

        A partition never seen before is stored at `starts` before this returns. May wait; may raise Unavailable.
        """

    @abstractmethod
    async def write(self, batch: Batch) -> Receipt | None:
        """Rows, `batch.rejected` as dead letters, and `batch.advance`: one transaction, `advance` compared last.

        Raise Fenced when a partition is not at its span's base or is not ours. After a COMMIT without an answer,
        read the ledger: at `next` return, at `base` raise Retry, else raise Fenced.
        """

    async def recognise(self, messages: Sequence[Message]) -> None:
        """Messages just before the offsets claimed. Raise Drift if another was stored there: a topic made anew."""

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        """Move a partition that we own over offsets that its source has lost, and record the gap with its reason."""
        where = f"{partition.topic}/{partition.number}: {span.base} to {span.next}"
        raise Drift(f"{where} are lost: {reason}, and {self.type!r} keeps no gaps")


class Claims(Protocol):
    """The runtime's side of a source: who may read what, from where."""

    async def take(self, starts: Mapping[Partition, int], committed: Mapping[Partition, int] = ...) -> Mapping[Partition, int]:
        """Own partitions; answer with the offset to read next.

        `starts`: where the options begin one that nobody knows. `committed`: what the outside remembers of our
        checkpoint; used where no sink keeps a ledger, and to notice that a ledger is gone (Drift).
        """

    async def release(self, partitions: Sequence[Partition]) -> None:
        """Give partitions back; returns when nothing of them is in flight, or after the drain time."""

    async def recognise(self, messages: Sequence[Message]) -> None:
        """Show the messages just before the claimed offsets to every ledger; Drift if another was stored there."""

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        """Record that `span` of a partition was lost before it was read, and go on behind it."""


class Source(Component[C]):
    """Reads messages from outside."""

    replayable: ClassVar[bool] = True
    """False: what was read and not delivered is lost at a crash (a polled HTTP API)."""

    @property
    def consumer(self) -> str:
        """Who reads, as a ledger files it: by default the pipeline's name; Kafka's is its group."""
        return self.context.pipeline

    @classmethod
    def between(cls, config: C, start: datetime, end: datetime, consumer: str) -> C | None:  # noqa: ARG003  as in Sink.into
        """The options with which only what lies from `start` to before `end` is read, and then it ends; None if it cannot.

        Who reads by them is `consumer`: a reader of its own, that owns nothing of the first one's, and goes on where it was when
        the same is asked again. Static: `replay` asks.
        """
        return None

    @abstractmethod
    def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        """Yield messages, each partition in order, from where `claims.take` says. Returning ends the pipeline: drained, done.

        Yield at least once a second, an empty list if there is nothing. Closed and called again to rewind: then claim
        again what is still ours. Cancelled at the end, wherever it waits; `close` follows.
        """

    def positions(self) -> Mapping[Partition, int]:
        """Where reading stands, asked right after each yield; only where that is beyond the last message (control records)."""
        return {}

    def lag(self) -> Mapping[Partition, int]:
        """Messages there but not yet read, of each partition that is ours; for progress and metrics."""
        return {}

    def pause(self) -> None:
        """A sink is down or behind: keep what must be kept alive, fetch nothing, go on yielding empty lists."""

    def resume(self) -> None:
        """Fetch again."""

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """All up to these offsets is durable in every required sink. Advisory where a LedgerSink keeps them.

        Called at most once a second, never in parallel with itself; bound it in time.
        """
