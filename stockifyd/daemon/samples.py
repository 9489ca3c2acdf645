"""What a tap shows: batches as plain values, a line each."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from stockifyd.api import Batch, Message

ROWS_A_BATCH = 3
MESSAGES_A_BATCH = 1


def lines(stage: str, batch: Batch) -> Iterator[bytes]:
    """JSON lines: dead letters, then the first rows of each table, or a message where there is no table yet."""
    for letter in batch.rejected[:MESSAGES_A_BATCH]:
        yield _line({"stage": stage, **_place(letter.message), "rejected_by": letter.stage, "reason": letter.reason})
    for name, table in batch.tables.items():
        for number, row in enumerate(table.rows[:ROWS_A_BATCH]):
            message = batch.messages[table.message_of(number)]
            yield _line({"stage": stage, **_place(message), "table": name, "row": dict(zip(table.columns, row, strict=True))})
    if not batch.tables:
        for message in batch.messages[:MESSAGES_A_BATCH]:
            yield _line({"stage": stage, **_place(message), "value": _value(message)})


def _place(message: Message) -> dict[str, Any]:
    (topic, number, _), offset = message.position
    return {"topic": topic, "partition": number, "offset": offset, "key": _text(message.key)}


def _value(message: Message) -> Any:
    return _text(message.raw) if message.value is None else message.value


def _text(raw: bytes | None) -> Any:
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _line(shown: dict[str, Any]) -> bytes:
    return msgspec.json.encode(shown, enc_hook=repr) + b"\n"
