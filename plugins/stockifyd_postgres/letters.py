"""Dead letters: written in the transaction that moves the ledger past them, so each is there exactly once."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from stockifyd.api import DeadLetter, Fenced, Partition, Position
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.ledger import Ledger, time_of

KEY = """consumer = $1 AND sink = $2 AND cluster = $3 AND topic = $4 AND partition = $5 AND "offset" = $6"""
STORE = """INSERT INTO stockifyd.dead_letters (pipeline, consumer, sink, cluster, topic, partition, "offset", row_idx,
  error_class, sqlstate, stage, reason, payload, message_key, message_ts, headers)
SELECT $1, $2, $3, u.cluster, u.topic, u.partition, u.number, u.row_idx, u.class, u.sqlstate, u.stage, u.reason, u.payload,
  u.message_key, u.message_ts, u.headers::jsonb
FROM unnest($4::text[], $5::text[], $6::int[], $7::bigint[], $8::int[], $9::text[], $10::text[], $11::text[], $12::text[],
  $13::bytea[], $14::bytea[], $15::timestamptz[], $16::text[])
  AS u(cluster, topic, partition, number, row_idx, class, sqlstate, stage, reason, payload, message_key, message_ts, headers)
ORDER BY u.cluster, u.topic, u.partition, u.number
ON CONFLICT (consumer, sink, cluster, topic, partition, "offset") DO NOTHING"""

DELETE = f"DELETE FROM stockifyd.dead_letters WHERE {KEY}"  # noqa: S608 - a constant


async def store(transaction: Transaction, ledger: Ledger, letters: Sequence[DeadLetter], *, pipeline: str) -> None:
    """Write dead letters; one that is already there stays as it is."""
    if letters:
        columns = [list(column) for column in zip(*map(_row, letters), strict=True)]
        await transaction.execute(STORE, pipeline, ledger.consumer, ledger.sink, *columns)


async def delete(transaction: Transaction, ledger: Ledger, position: Position) -> None:
    """Take a dead letter out; Fenced where somebody else did."""
    partition, offset = position
    key = (ledger.consumer, ledger.sink, partition.cluster, partition.topic, partition.number, offset)
    if await transaction.execute(DELETE, *key) == 0:
        raise Fenced(f"the dead letter {partition.topic}/{partition.number}/{offset} is gone: another retry was faster")


def error_class(letter: DeadLetter) -> str:
    """POISON: the database refused it. REJECT: a transform did."""
    return "POISON" if letter.code else "REJECT"


def pack_headers(headers: Sequence[tuple[str, bytes]]) -> str:
    """Headers as JSON: text where it is text, else base64."""
    return json.dumps([[text(name), _packed(value)] for name, value in headers])


def unpack_headers(packed: str) -> tuple[tuple[str, bytes], ...]:
    """The headers again."""
    return tuple((name, base64.b64decode(v["base64"]) if isinstance(v, dict) else v.encode()) for name, v in json.loads(packed))


def text(value: str) -> str:
    """What PostgreSQL can hold as text: no NUL, no half of a surrogate pair."""
    return value.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _packed(value: bytes) -> str | dict[str, str]:
    try:
        plain = value.decode()
    except UnicodeDecodeError:
        plain = "\0"
    return {"base64": base64.b64encode(value).decode()} if "\0" in plain else plain


def _row(letter: DeadLetter) -> tuple[Any, ...]:
    message = letter.message
    partition: Partition = message.position.partition
    return (
        *(partition.cluster, partition.topic, partition.number, message.position.offset),
        *(letter.row, error_class(letter), letter.code or None, letter.stage, text(letter.reason)),
        *(message.raw, message.key, time_of(message), pack_headers(message.headers)),
    )
