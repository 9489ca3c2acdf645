"""Messages, batches and components, made in one line for a test."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from stockifyd.api import Batch, Component, Context, Message, Partition, Position, Row, Span, Table, Tables, configure
from stockifyd.api.components import utc_now

PARTITION = Partition("contract")
TABLE = "options"
COLUMNS = ("number", "text")

K = TypeVar("K", bound=Component[Any])


def make_row(number: int) -> Row:
    """The row that `make_batch` gives a table at this place."""
    return number, f"row {number}"


def make_message(offset: int = 0, raw: bytes | None = None, *, partition: Partition = PARTITION, value: Any = None) -> Message:
    """A message; without `raw` its bytes are `message OFFSET`."""
    body = f"message {offset}".encode() if raw is None else raw
    return Message(Position(partition, offset), body, value, key=str(offset).encode(), timestamp_ms=1_700_000_000_000 + offset)


def make_batch(
    count: int = 3, rows_each: int = 1, *, first: int = 0, partition: Partition = PARTITION, table: str = TABLE
) -> Batch:
    """Consecutive messages from offset `first`, a table with `rows_each` rows of each, and the advance that goes with them."""
    messages = tuple(make_message(offset, partition=partition) for offset in range(first, first + count))
    rows = [make_row(number) for number in range(first * rows_each, (first + count) * rows_each)]
    made = Table(COLUMNS, rows, [rows_each * (index + 1) for index in range(count)])
    return Batch(messages, {table: made}, advance={partition: Span(first, first + count)} if count else {})


def make_context(
    name: str = "contract",
    tables: Tables | None = None,
    *,
    instance_id: int = 1,
    total_instances: int = 1,
    now: Callable[[], datetime] = utc_now,
) -> Context:
    """A context as the runtime gives one; pipeline and consumer are called `contract`. `now`: what time it says it is."""
    log = logging.getLogger(f"stockifyd.testing.{name}")
    return Context("contract", name, log, instance_id, total_instances, "contract", tables, now)


def make(component: type[K], context: Context | None = None, /, **options: Any) -> K:
    """A component from plain options, as a spec's file would give them; not opened."""
    return component(configure(component, options), context or make_context(component.type))


def offsets_of(messages: Sequence[Message]) -> list[int]:
    """The offsets of messages, in their order."""
    return [message.position.offset for message in messages]
