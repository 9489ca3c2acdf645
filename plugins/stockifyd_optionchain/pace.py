"""Work on the messages of a batch that lets the event loop run between two of them.

A chain takes a millisecond or more, a batch of them too long: heartbeats run on the same loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from stockifyd.api import Batch, Message, Reject, Row, Table


async def mapped(batch: Batch, change: Callable[[Message], Any]) -> Batch:
    """As `Batch.map`."""
    values, refused = await _each(len(batch.messages), lambda index: change(batch.messages[index]))
    messages = tuple(structs.replace(m, value=value) for m, value in zip(batch.messages, values, strict=True))
    return replace(batch, messages=messages).reject(refused)


async def flattened(batch: Batch, table: str, columns: Sequence[str], rows_of: Callable[[int, Message], Iterable[Row]]) -> Batch:
    """As `Batch.flatten`; `rows_of` is told the message's index too, by which other tables know its rows."""
    parts, refused = await _each(len(batch.messages), lambda index: list(rows_of(index, batch.messages[index])))
    rows, ends = list[Row](), list[int]()
    for part in parts:
        rows += part or ()
        ends.append(len(rows))
    return batch.with_table(table, Table(tuple(columns), rows, ends)).reject(refused)


async def _each(count: int, do: Callable[[int], Any]) -> tuple[list[Any], dict[int, str | Reject]]:
    values, refused = list[Any](), dict[int, str | Reject]()
    for index in range(count):
        try:
            values.append(do(index))
        except Reject as why:
            values.append(None)
            refused[index] = why
        await asyncio.sleep(0)
    return values, refused
