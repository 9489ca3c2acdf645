"""Records as aiokafka reads them, made messages, many at a time: by `_records` in C, or, where that was not compiled, here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stockifyd.api import Message, Partition, Position

try:
    from stockifyd_kafka import _records
except ImportError:  # no compiler where it was installed: the same messages, at three times the cost
    _records = None  # type: ignore[assignment]

Made = tuple[list[Message], int, int]
"""Messages, and what is left of the portion: bytes, and records."""


def messages(records: Iterator[Any], partition: Partition, first: int, room: int, left: int) -> Made:
    """Those not before offset `first`, until so many bytes or records are taken, and one at least."""
    if _records is None:
        return plain_messages(records, partition, first, room, left)
    return _records.messages((Message, Position), records, partition, first, (room, left))


def plain_messages(records: Iterator[Any], partition: Partition, first: int, room: int, left: int) -> Made:
    """What `_records` does."""
    made: list[Message] = []
    while (record := next(records, None)) is not None:  # no `for`, which calls iter() again: aiokafka's begins anew then
        offset = record.offset
        if offset < first:
            continue  # of a batch of which some was read before
        raw = record.value or b""
        made.append(Message(Position(partition, offset), raw, None, record.key, record.timestamp, tuple(record.headers)))
        room -= len(raw)
        left -= 1
        if room <= 0 or left <= 0:
            break
    return made, room, left
