"""What becomes of messages and rows on their way to Kafka: records with a key, a value, and where they came from."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from stockifyd.api import Batch, Message, Reject, Table

PROVENANCE = ("stockifyd-topic", "stockifyd-partition", "stockifyd-offset", "stockifyd-index")
"""Headers that say which message a record was made of, and the number of the record among those of that message."""

_ENCODER = msgspec.json.Encoder()
_UNFIT = (TypeError, ValueError, OverflowError, RecursionError)

Headers = list[tuple[str, bytes]]
Choose = Callable[[int, bytes | None], int]
"""The partition, by the number that the message has in the source, and by the key."""


class Outgoing(NamedTuple):
    """One record. `place` is the row's in its table, or the message's in the batch."""

    partition: int
    key: bytes | None
    value: bytes
    timestamp_ms: int | None
    headers: Headers
    place: int


def of_message(message: Message, place: int, choose: Choose) -> Outgoing:
    """The record of a message. Reject where its value cannot be JSON."""
    try:
        value = _value(message)
    except _UNFIT as error:
        raise Reject(f"the value cannot be JSON: {_kind(error)}") from error
    partition = choose(message.position.partition.number, message.key)
    return Outgoing(partition, message.key, value, message.timestamp_ms or None, headers_of(message, 0), place)


def of_rows(batch: Batch, name: str, table: Table, *, key: str | None, choose: Choose) -> Iterator[Outgoing]:
    """A record of each row, an object of its columns. Reject names a row that cannot be JSON."""
    at = None if key is None else table.columns.index(key)
    for index, message in enumerate(batch.messages):
        start = table.start_of(index)
        for number, row in enumerate(table.of_message(index)):
            try:
                value = _ENCODER.encode(dict(zip(table.columns, map(_plain, row), strict=True)))
                own = message.key if at is None else _key(row[at])
            except _UNFIT as error:
                raise Reject(f"a row cannot be JSON: {_kind(error)}", table=name, row=start + number) from error
            partition = choose(message.position.partition.number, own)
            yield Outgoing(partition, own, value, message.timestamp_ms or None, headers_of(message, number), start + number)


def headers_of(message: Message, index: int) -> Headers:
    """The message's own, and where the record came from; those of an earlier pipeline give way."""
    (topic, number, _), offset = message.position
    own = [header for header in message.headers if header[0] not in PROVENANCE] if message.headers else []
    about = (topic.encode(), b"%d" % number, b"%d" % offset, b"%d" % index)
    return [*own, *zip(PROVENANCE, about, strict=True)]


def _value(message: Message) -> bytes:
    """Bytes as they are, anything else as JSON; where transforms made nothing, what came."""
    if message.value is None:
        return message.raw
    return message.value if isinstance(message.value, bytes) else _ENCODER.encode(message.value)


def _key(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else _ENCODER.encode(value).strip(b'"')


def _plain(value: Any) -> Any:
    """By itself JSON would have bytes as base64; a dead letter's payload is for people."""
    if type(value) is not bytes:
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _kind(error: Exception) -> str:
    """What is wrong, without the value."""
    if isinstance(error, UnicodeError):
        return "a lone surrogate in a text"
    return str(error) if isinstance(error, TypeError) else "a number or a depth that JSON cannot have"
