"""Dead letters as the database holds them: chosen, read, and made messages again."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from stockifyd.api import Drift, Message, Partition, Position
from stockifyd_postgres.letters import KEY, text, unpack_headers
from stockifyd_postgres.sink import Postgres

if TYPE_CHECKING:  # imported where it is needed: `stockifyd validate` imports this module
    import asyncpg

COLUMNS = """cluster, topic, partition, "offset", row_idx, error_class, sqlstate, stage, reason, payload, message_key,
message_ts, headers::text AS headers, attempts, first_seen"""
CHOOSE = f"""SELECT {COLUMNS} FROM stockifyd.dead_letters
WHERE consumer = $1 AND sink = $2 AND ($3 = '' OR topic = $3) AND ($4::int IS NULL OR partition = $4)
AND ($5::bigint IS NULL OR "offset" = $5) AND ($6 = '' OR position($6 IN reason) > 0)
ORDER BY first_seen, topic, partition, "offset" LIMIT $7"""  # noqa: S608 - constants
REFUSED_AGAIN = f"""UPDATE stockifyd.dead_letters SET attempts = attempts + 1, reason = $7, sqlstate = $8, stage = $9,
error_class = $10 WHERE {KEY}"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters."""

    topic: str = ""
    partition: int | None = None
    offset: int | None = None
    reason: str = ""
    limit: int = 100

    @classmethod
    def named(cls, name: str) -> Self:
        """The one that `ls` prints as TOPIC/PARTITION/OFFSET; a topic may hold slashes where a source is no Kafka."""
        topic, _, rest = name.rpartition("/")
        topic, _, partition = topic.rpartition("/")
        if not topic or not partition.isdigit() or not rest.isdigit():
            raise Drift(f"{name!r} names no dead letter", hint="write TOPIC/PARTITION/OFFSET, as `stockifyd dlq ls` does")
        return cls(topic=topic, partition=int(partition), offset=int(rest))


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it is stored."""

    message: Message
    row: int | None
    error_class: str
    sqlstate: str
    stage: str
    reason: str
    attempts: int
    first_seen: datetime

    @property
    def name(self) -> str:
        """TOPIC/PARTITION/OFFSET."""
        partition, offset = self.message.position
        return f"{partition.topic}/{partition.number}/{offset}"

    def plain(self, *, payload: bool = False) -> dict[str, Any]:
        """As JSON has it."""
        fields = ("row", "error_class", "sqlstate", "stage", "reason", "attempts")
        shown = {"letter": self.name, **{name: getattr(self, name) for name in fields}, "first_seen": self.first_seen.isoformat()}
        return {**shown, "payload": _printable(self.message.raw)} if payload else shown


async def fetch(sink: Postgres, wanted: Filter) -> list[Letter]:
    """The dead letters of a sink that a filter leaves, oldest first."""
    session, ledger = sink.store.connect(), sink.store.ledger
    key = (ledger.consumer, ledger.sink)
    try:
        async with session.transaction() as transaction:
            rows = await transaction.fetch(
                CHOOSE, *key, wanted.topic, wanted.partition, wanted.offset, wanted.reason, wanted.limit
            )
    finally:
        await session.close()
    return [_letter(row) for row in rows]


async def refuse_again(sink: Postgres, letter: Letter, *, reason: str, stage: str, sqlstate: str) -> None:
    """Keep a dead letter, with the reason of this time."""
    partition, offset = letter.message.position
    ledger = sink.store.ledger
    key = (ledger.consumer, ledger.sink, partition.cluster, partition.topic, partition.number, offset)
    async with sink.store.session.transaction() as transaction:
        kind = "POISON" if sqlstate else "REJECT"
        await transaction.execute(REFUSED_AGAIN, *key, text(reason), sqlstate or None, stage, kind)
        await transaction.commit()


def _letter(row: asyncpg.Record) -> Letter:
    stamp: datetime | None = row["message_ts"]
    message = Message(
        Position(Partition(row["topic"], row["partition"], row["cluster"]), row["offset"]),
        row["payload"],
        key=row["message_key"],
        timestamp_ms=round(stamp.astimezone(UTC).timestamp() * 1000) if stamp else 0,
        headers=unpack_headers(row["headers"]),
    )
    known = (row["row_idx"], row["error_class"], row["sqlstate"] or "", row["stage"], row["reason"])
    return Letter(message, *known, row["attempts"], row["first_seen"])


def _printable(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode()
