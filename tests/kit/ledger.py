"""A ledger in an SQLite file, and the smallest runtime around a source: what several processes may share in tests of a source."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stockifyd.api import Drift, Fenced, Message, Partition, Source, Span

DDL = """
CREATE TABLE IF NOT EXISTS offsets(topic, number, next INT, epoch INT, owner, last BLOB, PRIMARY KEY(topic, number));
CREATE TABLE IF NOT EXISTS stored(topic, number, "offset" INT, value BLOB, owner, at REAL);
CREATE TABLE IF NOT EXISTS gaps(topic, number, base INT, next INT, reason);
CREATE TABLE IF NOT EXISTS events(at REAL, owner, what, partitions INT);
"""
CLAIM = """INSERT INTO offsets VALUES(?, ?, ?, 1, ?, NULL)
ON CONFLICT DO UPDATE SET epoch = epoch + 1, owner = excluded.owner RETURNING next, epoch"""
SWAP = "UPDATE offsets SET next = ?, last = coalesce(?, last) WHERE topic = ? AND number = ? AND next = ? AND epoch = ?"


class Ledger:
    """Claims that keep offsets, rows and gaps in one file. `take_secs` makes a claim slow."""

    def __init__(self, path: Path | str, owner: str = "one", *, take_secs: float = 0.0) -> None:
        self.owner, self.take_secs = owner, take_secs
        self.db = sqlite3.connect(path, timeout=30, isolation_level=None)
        self.db.executescript(DDL)
        self.epochs: dict[Partition, int] = {}
        self.next: dict[Partition, int] = {}
        self.taken: list[dict[Partition, int]] = []
        self.committed: list[dict[Partition, int]] = []

    async def take(
        self, starts: Mapping[Partition, int], committed: Mapping[Partition, int] | None = None
    ) -> dict[Partition, int]:
        self.committed.append(dict(committed or {}))
        await asyncio.sleep(self.take_secs)
        found: dict[Partition, int] = {}
        self.db.execute("BEGIN IMMEDIATE")
        for p in sorted(starts):
            found[p], self.epochs[p] = self.db.execute(CLAIM, (p.topic, p.number, starts[p], self.owner)).fetchone()
        self._event("take", len(starts))
        self.db.execute("COMMIT")
        self.next.update(found)
        self.taken.append(dict(found))
        return found

    async def release(self, partitions: Sequence[Partition]) -> None:
        self._event("release", len(partitions))
        for p in partitions:
            self.epochs.pop(p, None)
            self.next.pop(p, None)

    async def recognise(self, messages: Sequence[Message]) -> None:
        for m in messages:
            p = m.position.partition
            (last,) = self.db.execute("SELECT last FROM offsets WHERE topic = ? AND number = ?", (p.topic, p.number)).fetchone()
            if last is not None and last != m.raw:
                raise Drift(f"{p.topic}/{p.number}: another message was stored at {m.position.offset}: the topic was made anew")

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        self.db.execute("INSERT INTO gaps VALUES(?, ?, ?, ?, ?)", (partition.topic, partition.number, *span, reason))
        self._swap(partition, span.base, span.next, None)

    def store(self, messages: Sequence[Message], positions: Mapping[Partition, int]) -> None:
        """Rows and offsets in one transaction; Fenced where a partition is not ours or not where we left it."""
        ends = dict(positions)
        last: dict[Partition, bytes] = {}
        for m in messages:
            p = m.position.partition
            ends[p] = max(ends.get(p, 0), m.position.offset + 1)
            last[p] = m.raw
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self.db.executemany(
                "INSERT INTO stored VALUES(?, ?, ?, ?, ?, ?)",
                [
                    (m.position.partition.topic, m.position.partition.number, m.position.offset, m.raw, self.owner, time.time())
                    for m in messages
                ],
            )
            for p, end in sorted(ends.items()):
                self._swap(p, self.next.get(p, -1), end, last.get(p))
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def _swap(self, p: Partition, base: int, end: int, last: bytes | None) -> None:
        if self.db.execute(SWAP, (end, last, p.topic, p.number, base, self.epochs.get(p, -1))).rowcount != 1:
            raise Fenced(f"{p.topic}/{p.number} is not at {base} or not ours")
        self.next[p] = end

    def _event(self, what: str, count: int) -> None:
        self.db.execute("INSERT INTO events VALUES(?, ?, ?, ?)", (time.time(), self.owner, what, count))

    # What tests ask.

    def offsets(self) -> dict[tuple[str, int], int]:
        return {(topic, number): at for topic, number, at in self.db.execute("SELECT topic, number, next FROM offsets")}

    def stored(self, topic: str) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for number, offset in self.db.execute('SELECT number, "offset" FROM stored WHERE topic = ? ORDER BY rowid', (topic,)):
            found.setdefault(number, []).append(offset)
        return found

    def values(self, topic: str) -> list[bytes]:
        return [v for (v,) in self.db.execute("SELECT value FROM stored WHERE topic = ? ORDER BY number, rowid", (topic,))]

    def owners(self) -> dict[str, int]:
        return dict(self.db.execute("SELECT owner, count(*) FROM offsets GROUP BY owner").fetchall())

    def events(self, owner: str, what: str) -> list[tuple[float, int]]:
        return self.db.execute(
            "SELECT at, partitions FROM events WHERE owner = ? AND what = ? ORDER BY at", (owner, what)
        ).fetchall()


async def pump(source: Source[Any], ledger: Ledger, *, until: asyncio.Event | None = None) -> None:
    """Read and store until the source ends, or the event comes; begin again when fenced, as the runtime does."""
    while until is None or not until.is_set():
        reading = source.read(ledger)
        try:
            async for messages in reading:
                positions = {p: at for p, at in source.positions().items() if ledger.next.get(p, at) != at}
                if messages or positions:
                    ledger.store(messages, positions)
                    await source.commit(dict(ledger.next))
                if until is not None and until.is_set():
                    return
            return
        except Fenced:
            ledger._event("fenced", len(ledger.epochs))
            await asyncio.sleep(0.2)
        finally:
            await reading.aclose()  # type: ignore[attr-defined]
