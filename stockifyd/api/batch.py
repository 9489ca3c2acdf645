"""Messages, the tables made of them, and the way back from a row to its message."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any, NamedTuple

import msgspec

from stockifyd.api.errors import Reject

Row = tuple[Any, ...]


class Partition(NamedTuple):
    """An ordered stream inside a source: Kafka's topic and partition; a symbol; a file.

    `cluster` tells two installations apart that have topics of the same name (Kafka's cluster id), so that a ledger
    never takes the offsets of one for those of the other.
    """

    topic: str
    number: int = 0
    cluster: str = ""


class Position(NamedTuple):
    """Where a message sits in its source."""

    partition: Partition
    offset: int


class Span(NamedTuple):
    """A ledger sink moves a partition from `base` to `next`, in the transaction of the rows."""

    base: int
    next: int


class Message(msgspec.Struct, frozen=True, gc=False):
    """One unit a source yields. `raw` stays as it came (it is what a dead letter keeps); transforms replace `value`.

    A Struct, which is made in a third of the time of a dataclass; `msgspec.structs.replace` makes a changed copy. The garbage
    collector does not look at it: a value must not hold its own message.
    """

    position: Position
    raw: bytes
    value: Any = None
    key: bytes | None = None
    timestamp_ms: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class DeadLetter(NamedTuple):
    """A rejected message, as a sink stores it.

    `stage` is the name of the component that rejected it, `code` the far side's own (an SQLSTATE), `row` the row inside the
    message.
    """

    message: Message
    reason: str
    stage: str = ""
    code: str = ""
    row: int | None = None


@dataclass(slots=True, frozen=True)
class Table:
    """Rows as tuples in column order. Message i owns rows[ends[i-1]:ends[i]]: one int a message, nothing a row."""

    columns: tuple[str, ...]
    rows: list[Row]
    ends: list[int]

    def message_of(self, row: int) -> int:
        """The index of the message that owns a row."""
        return bisect_right(self.ends, row)

    def start_of(self, message: int) -> int:
        """The index of the first row of a message."""
        return self.ends[message - 1] if message else 0

    def of_message(self, index: int) -> list[Row]:
        """The rows of one message."""
        return self.rows[self.start_of(index) : self.ends[index]]

    def column(self, name: str) -> list[Any]:
        """One column's values; ValueError if there is none of that name."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def dicts(self) -> Iterator[dict[str, Any]]:
        """Rows as dicts, for small sinks; about five times slower than `rows`."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def select(self, columns: Sequence[str]) -> Table:
        """A copy with these columns, in this order."""
        picked = zip(*(self.column(c) for c in columns), strict=True)
        return replace(self, columns=tuple(columns), rows=list(picked))

    def keep(self, messages: Iterable[int]) -> Table:
        """A copy with the rows of these messages alone; indexes rising."""
        rows, ends = list[Row](), list[int]()
        for index in messages:
            rows += self.of_message(index)
            ends.append(len(rows))
        return replace(self, rows=rows, ends=ends)


@dataclass(slots=True, frozen=True)
class Batch:
    """Consecutive messages, delivered and acknowledged together. Immutable: each method answers with a new one.

    `rejected` are the dead letters among them so far; `advance` says how far a ledger sink moves each partition.
    """

    messages: tuple[Message, ...]
    tables: Mapping[str, Table] = field(default_factory=dict)
    rejected: tuple[DeadLetter, ...] = ()
    advance: Mapping[Partition, Span] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        """Rows in all tables."""
        return sum(len(table.rows) for table in self.tables.values())

    def map(self, change: Callable[[Message], Any]) -> Batch:
        """Replace every value; `change` may raise Reject: that message alone becomes a dead letter."""
        values, refused = _attempt(self.messages, change)
        kept = tuple(msgspec.structs.replace(m, value=v) for m, v in zip(self.messages, values, strict=True))
        return replace(self, messages=kept).reject(refused)

    def flatten(self, table: str, columns: Sequence[str], rows_of: Callable[[Message], Iterable[Row]]) -> Batch:
        """Add a table; `rows_of` gives a message's rows and may raise Reject: that message alone becomes a dead letter."""
        rows, ends, refused = list[Row](), list[int](), dict[int, str | Reject]()
        for i, message in enumerate(self.messages):
            try:
                rows += rows_of(message)
            except Reject as why:
                refused[i] = why
                del rows[ends[-1] if ends else 0 :]  # what it gave before it was refused
            ends.append(len(rows))
        return self.with_table(table, Table(tuple(columns), rows, ends)).reject(refused)

    def with_table(self, name: str, table: Table) -> Batch:
        """Add a table, or put another in its place; it must have one end for each message."""
        return replace(self, tables={**self.tables, name: table})

    def keep(self, messages: Collection[int]) -> Batch:
        """These messages alone, with their rows; indexes rising. `rejected` and `advance` stay."""
        return replace(
            self,
            messages=tuple(self.messages[i] for i in messages),
            tables={name: table.keep(messages) for name, table in self.tables.items()},
        )

    def reject(self, refused: Mapping[int, str | Reject]) -> Batch:
        """Take messages (index: why) out of the batch and out of every table, whole."""
        if not refused:
            return self
        kept = list(compress(range(len(self.messages)), (i not in refused for i in range(len(self.messages)))))
        letters = (dead_letter(self.messages[i], why) for i, why in sorted(refused.items(), key=lambda item: item[0]))
        return replace(self.keep(kept), rejected=(*self.rejected, *letters))


@dataclass(slots=True, frozen=True)
class Receipt:
    """What `write` may answer.

    `rejected` (message index: reason) says that all the others are durable. A ledger sink, which must store its dead letters
    in the transaction of the rows, raises Reject instead.
    """

    rows: int = 0
    duplicates: int = 0
    rejected: Mapping[int, str] = field(default_factory=dict)


def dead_letter(message: Message, why: str | Reject) -> DeadLetter:
    """A message with the reason it was refused for."""
    return DeadLetter(message, why.reason, code=why.code) if isinstance(why, Reject) else DeadLetter(message, why)


def _attempt(messages: Sequence[Message], do: Callable[[Message], Any]) -> tuple[list[Any], dict[int, str | Reject]]:
    values, refused = list[Any](), dict[int, str | Reject]()
    for i, message in enumerate(messages):
        try:
            values.append(do(message))
        except Reject as why:
            values.append(None)
            refused[i] = why
    return values, refused
