"""The ledger: who owns a partition and how far it is, compared and moved in the transaction of the rows."""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from stockifyd.api import Batch, Drift, Fenced, Message, Partition, Span
from stockifyd_postgres.connection import Transaction

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
READ = """SELECT o.cluster, o.topic, o.partition, o.next_offset, o.owner_epoch, o.owner, o.last_offset, o.last_ts, o.last_crc,
pg_backend_pid() AS pid FROM stockifyd.offsets o JOIN unnest($3::text[], $4::text[], $5::int[]) AS u(cluster, topic, partition)
USING (cluster, topic, partition) WHERE o.consumer = $1 AND o.sink = $2"""
# in key order: two owners that claim at once wait for each other, they do not deadlock
CLAIM = """INSERT INTO stockifyd.offsets AS o (consumer, sink, cluster, topic, partition, next_offset, owner_epoch, owner)
SELECT $1, $2, u.cluster, u.topic, u.partition, u.start, 1, $7
FROM unnest($3::text[], $4::text[], $5::int[], $6::bigint[]) AS u(cluster, topic, partition, start)
ORDER BY u.cluster, u.topic, u.partition
ON CONFLICT (consumer, sink, cluster, topic, partition)
DO UPDATE SET owner_epoch = o.owner_epoch + 1, owner = excluded.owner, updated_at = clock_timestamp()
RETURNING cluster, topic, partition, next_offset, owner_epoch"""
SWAP = """UPDATE stockifyd.offsets o SET next_offset = u.next, updated_at = clock_timestamp(),
last_offset = coalesce(u.last_offset, o.last_offset),
last_ts = CASE WHEN u.last_offset IS NULL THEN o.last_ts ELSE u.last_ts END,
last_crc = CASE WHEN u.last_offset IS NULL THEN o.last_crc ELSE u.last_crc END
FROM unnest($3::text[], $4::text[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[],
$9::bigint[], $10::timestamptz[], $11::bigint[])
AS u(cluster, topic, partition, base, next, epoch, last_offset, last_ts, last_crc)
WHERE o.consumer = $1 AND o.sink = $2 AND o.cluster = u.cluster AND o.topic = u.topic AND o.partition = u.partition
AND o.next_offset = u.base AND o.owner_epoch = u.epoch"""
GAP = """INSERT INTO stockifyd.gaps (consumer, sink, cluster, topic, partition, from_offset, to_offset, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"""
BIRTH = """INSERT INTO stockifyd.ledgers (consumer, sink, system_identifier, database) VALUES ($1, $2, $3, current_database())
ON CONFLICT (consumer, sink) DO NOTHING"""
BORN = "SELECT system_identifier, database, current_database() AS here FROM stockifyd.ledgers WHERE consumer = $1 AND sink = $2"

Standing = Literal["base", "next", "lost"]
"""Where the ledger stands against a batch: before it, behind it and ours, or elsewhere or another's."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger holds of a partition."""

    next_offset: int
    epoch: int
    owner: str
    last_offset: int | None
    last_ts: datetime | None
    last_crc: int | None


class Ledger:
    """The offsets of one consumer and sink. Knows the epochs of what it claimed, and nothing of other owners."""

    def __init__(self, consumer: str, sink: str) -> None:
        self.consumer, self.sink = consumer, sink
        self.epochs: dict[Partition, int] = {}
        self.owner = f"{socket.gethostname()}:{os.getpid()}"

    async def read(self, transaction: Transaction, partitions: Collection[Partition]) -> dict[Partition, Entry]:
        """The entries of these partitions, without a lock."""
        rows = await transaction.fetch(READ, self.consumer, self.sink, *_keys(sorted(partitions)))
        transaction.pid = rows[0]["pid"] if rows else transaction.pid
        return {Partition(r[1], r[2], r[0]): Entry(r[3], r[4], r[5] or "", r[6], r[7], r[8]) for r in rows}

    async def claim(self, transaction: Transaction, starts: Mapping[Partition, int]) -> dict[Partition, tuple[int, int]]:
        """Raise the epoch of each partition; answers with next offset and epoch, for `remember` once it is committed."""
        wanted = sorted(starts, key=lambda p: (p.cluster, p.topic, p.number))
        offsets = [starts[p] for p in wanted]
        rows = await transaction.fetch(CLAIM, self.consumer, self.sink, *_keys(wanted), offsets, self.owner)
        return {Partition(r[1], r[2], r[0]): (r[3], r[4]) for r in rows}

    def remember(self, claimed: Mapping[Partition, tuple[int, int]]) -> dict[Partition, int]:
        """Take the claimed epochs for ours; answers with the next offsets."""
        self.epochs |= {partition: epoch for partition, (_, epoch) in claimed.items()}
        return {partition: offset for partition, (offset, _) in claimed.items()}

    async def stands(self, transaction: Transaction, advance: Mapping[Partition, Span]) -> Standing:
        """Where the ledger stands against these spans, read without a lock."""
        entries = await self.read(transaction, advance)
        if any(p not in entries or entries[p].epoch != self.epochs.get(p) for p in advance):
            return "lost"
        if all(entries[p].next_offset == span.base for p, span in advance.items()):
            return "base"
        return "next" if all(entries[p].next_offset == span.next for p, span in advance.items()) else "lost"

    async def swap(
        self, transaction: Transaction, advance: Mapping[Partition, Span], last: Mapping[Partition, Message] | None = None
    ) -> None:
        """Move each partition from its base to its next, if it is there and ours; else Fenced. Remembers its last message."""
        if not advance:
            return
        wanted = sorted(advance, key=lambda p: (p.cluster, p.topic, p.number))
        last = last or {}
        moved = await transaction.execute(
            SWAP,
            self.consumer,
            self.sink,
            *_keys(wanted),
            [advance[p].base for p in wanted],
            [advance[p].next for p in wanted],
            [self.epochs.get(p, -1) for p in wanted],
            [last[p].position.offset if p in last else None for p in wanted],
            [time_of(last[p]) if p in last else None for p in wanted],
            [zlib.crc32(last[p].raw) if p in last else None for p in wanted],
        )
        if moved != len(wanted):
            raise await self.fenced(transaction, advance)

    async def fenced(self, transaction: Transaction, advance: Mapping[Partition, Span]) -> Fenced:
        """The error that names a partition which is not where we left it, or not ours, and its owner."""
        entries = await self.read(transaction, advance)
        for partition, span in sorted(advance.items()):
            name, entry = f"{partition.topic}/{partition.number}", entries.get(partition)
            if entry is None:
                return Fenced(f"{name} is not in the ledger")
            if entry.epoch != self.epochs.get(partition):
                return Fenced(f"{name} belongs to {entry.owner or 'another'} since epoch {entry.epoch}")
            if entry.next_offset != span.base:
                return Fenced(f"{name} is at {entry.next_offset} in the ledger, not at {span.base}")
        return Fenced("the ledger moved while the batch was written")

    async def record_gap(self, transaction: Transaction, partition: Partition, span: Span, *, reason: str) -> None:
        """Note offsets that were lost, and move the partition over them."""
        key = (self.consumer, self.sink, partition.cluster, partition.topic, partition.number)
        await transaction.execute(GAP, *key, span.base, span.next, reason)
        await self.swap(transaction, {partition: span})

    async def recognise(self, transaction: Transaction, messages: Sequence[Message]) -> None:
        """Drift where another message was stored at the offset of one of these."""
        entries = await self.read(transaction, {m.position.partition for m in messages})
        for message in messages:
            entry = entries.get(message.position.partition)
            if entry is None or entry.last_offset != message.position.offset or entry.last_crc is None:
                continue  # not the last one stored (a control record, compacted, gone): unknown, not another
            if (zlib.crc32(message.raw), time_of(message)) != (entry.last_crc, entry.last_ts):
                where = f"{message.position.partition.topic}/{message.position.partition.number}/{message.position.offset}"
                raise Drift(
                    f"{where} is not the message that was stored: the topic was made anew",
                    hint="give the new topic another name or group, or delete its rows from stockifyd.offsets",
                )

    async def check_birth(self, transaction: Transaction, system: str) -> None:
        """Note which database this ledger is in, the first time; Drift where it began in another one."""
        await transaction.execute(BIRTH, self.consumer, self.sink, system)
        born = (await transaction.fetch(BORN, self.consumer, self.sink))[0]
        known = bool(system and born["system_identifier"])  # not every role may ask the server who it is
        if born["database"] != born["here"] or (known and born["system_identifier"] != system):
            raise Drift(
                f"this ledger began in database {born['database']!r} of system {born['system_identifier']}, "
                f"and this is {born['here']!r} of system {system}",
                hint="if this database shall go on in its place, run `stockifyd migrate SPEC --accept-database`",
            )


def last_messages(batch: Batch, advance: Mapping[Partition, Span]) -> dict[Partition, Message]:
    """The last message of each partition, stored or dead letter."""
    last, before = dict[Partition, Message](), None
    for message in reversed(batch.messages):
        if (partition := message.position.partition) is not before:  # those of a partition come together: few are looked up
            before = partition
            if partition in advance:
                last.setdefault(partition, message)
    for message in (letter.message for letter in batch.rejected):
        partition, offset = message.position
        if partition in advance and (partition not in last or last[partition].position.offset < offset < advance[partition].next):
            last[partition] = message
    return last


def time_of(message: Message) -> datetime | None:
    """When a message was made; None where the source does not tell, or nonsense."""
    if message.timestamp_ms <= 0:
        return None
    try:
        return EPOCH + timedelta(milliseconds=message.timestamp_ms)
    except OverflowError:
        return None


def _keys(partitions: Sequence[Partition]) -> tuple[list[str], list[str], list[int]]:
    return [p.cluster for p in partitions], [p.topic for p in partitions], [p.number for p in partitions]
