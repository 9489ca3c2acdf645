"""What the oracles look at: the tables, the ledger, its audit, and snapshots taken while faults happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg

from kit.beside import beside
from kit.feed import OPTION_COLUMNS, SNAPSHOT_COLUMNS, Content, Place, content_of, instant, place_of
from kit.oracles import Move, Stored, Violations, torn

AUDIT = """
CREATE SCHEMA audit;
CREATE TABLE audit.moves (id bigserial PRIMARY KEY, consumer text, topic text, partition int, before bigint, next bigint,
  epoch bigint, owner text, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO audit.moves (consumer, topic, partition, before, next, epoch, owner)
  VALUES (coalesce(new.consumer, old.consumer),
          coalesce(new.topic, old.topic), coalesce(new.partition, old.partition), old.next_offset, new.next_offset,
          coalesce(new.owner_epoch, old.owner_epoch), coalesce(new.owner, old.owner));
  RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON stockifyd.offsets FOR EACH ROW EXECUTE FUNCTION audit.note();
"""
OFFSETS = "SELECT partition, next_offset FROM stockifyd.offsets WHERE topic = $1 AND $2 IN ('', consumer)"
LETTERS = 'SELECT partition, "offset", count(*) FROM stockifyd.dead_letters WHERE topic = $1 AND "offset" >= $2 GROUP BY 1, 2'
GAPS = "SELECT partition, from_offset, to_offset FROM stockifyd.gaps WHERE topic = $1"
MOVES = """SELECT partition, before, next, epoch, owner, extract(epoch FROM at)::float8
FROM audit.moves WHERE topic = $1 AND $2 IN ('', consumer) ORDER BY id"""
COUNTS = """SELECT symbol_id, "timestamp", sum(o)::int, sum(s)::int FROM (
  SELECT symbol_id, "timestamp", count(*) AS o, 0 AS s FROM {options} WHERE "timestamp" >= $1 GROUP BY 1, 2
  UNION ALL SELECT symbol_id, "timestamp", 0, count(*) FROM {snapshots} WHERE "timestamp" >= $1 GROUP BY 1, 2) AS both_of_them
GROUP BY 1, 2"""
MARGIN = 50
"""Messages of each partition that a snapshot looks at again, though the one before found them well."""

WINDOW = 100
"""Offsets of each partition whose rows are read at a time."""


class Books:
    """The database's side of one topic: where its rows and its offsets are. `consumer`: the one whose offsets are meant."""

    def __init__(self, url: str, topic: str, tables: tuple[str, str], *, consumer: str = "") -> None:
        self.url, self.topic, self.consumer = url, topic, consumer
        self.options, self.snapshots = tables

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(self.url, timeout=5)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        connection = await self.connect()
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield connection
        finally:
            connection.terminate()

    async def next(self) -> dict[int, int]:
        """The ledger's offsets."""
        async with self.reading() as connection:
            return {row[0]: row[1] for row in await connection.fetch(OFFSETS, self.topic, self.consumer)}

    async def moves(self) -> list[Move]:
        """The audit of the ledger."""
        async with self.reading() as connection:
            return [Move(*row) for row in await connection.fetch(MOVES, self.topic, self.consumer)]

    async def counted(self, connection: asyncpg.Connection[asyncpg.Record], floor: int = 0) -> Stored:
        """Messages by their number of rows, from an offset on, in a transaction that is open."""
        query = COUNTS.format(options=self.options, snapshots=self.snapshots)
        rows = {place_of(r[0], r[1]): Content(r[2], r[3]) for r in await connection.fetch(query, instant(floor))}
        return Stored(
            next={row[0]: row[1] for row in await connection.fetch(OFFSETS, self.topic, self.consumer)},
            rows=rows,
            letters={(row[0], row[1]): row[2] for row in await connection.fetch(LETTERS, self.topic, floor)},
            gaps=[(row[0], row[1], row[2]) for row in await connection.fetch(GAPS, self.topic)],
            floor=floor,
        )

    async def everything(self) -> Stored:
        """All of it, with checksums; the rows of a few offsets at a time, for there may be millions."""
        async with self.reading() as connection:
            counted = await self.counted(connection)
            rows: dict[Place, Content] = {}
            last = max((offset for _, offset in counted.rows), default=-1)
            for first in range(0, last + 1, WINDOW):
                rows |= await self._contents(connection, first)
        return Stored(counted.next, rows, counted.letters, counted.gaps)

    async def _contents(self, connection: asyncpg.Connection[asyncpg.Record], first: int) -> dict[Place, Content]:
        options = await self._of_messages(connection, self.options, first, columns=OPTION_COLUMNS)
        snapshots = await self._of_messages(connection, self.snapshots, first, columns=SNAPSHOT_COLUMNS)
        return {at: content_of(options.get(at, []), snapshots.get(at, [])) for at in options.keys() | snapshots.keys()}

    async def _of_messages(
        self, connection: asyncpg.Connection[asyncpg.Record], table: str, first: int, *, columns: tuple[str, ...]
    ) -> dict[Place, list[tuple[object, ...]]]:
        names = ", ".join(f'"{name}"' if name != "expiry" else "expiry::text" for name in columns)
        query = f'SELECT symbol_id, "timestamp", {names} FROM {table} WHERE "timestamp" >= $1 AND "timestamp" < $2'
        found: dict[Place, list[tuple[object, ...]]] = {}
        for row in await connection.fetch(query, instant(first), instant(first + WINDOW)):
            found.setdefault(place_of(row[0], row[1]), []).append(tuple(row)[2:])
        return found


class SnapshotReader:
    """O5: reads the tables in one REPEATABLE READ transaction after another for as long as it is open."""

    def __init__(self, books: Books, expected: Mapping[Place, Content]) -> None:
        self._books, self._expected = books, expected
        self.violations: Violations = []
        self.snapshots = 0
        self._floor = 0
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def looking_away(self) -> AsyncIterator[None]:
        """No snapshot is open inside: ALTER TABLE that rewrites a table shows it empty to snapshots from before."""
        async with self._turn:
            yield

    def watching(self) -> AbstractAsyncContextManager[None]:
        """For as long as the block lasts."""
        return beside(self._watch())

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            try:
                async with self._turn, self._books.reading() as connection:
                    snapshot = await self._books.counted(connection, self._floor)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                await asyncio.sleep(0.2)  # the server is a fault's victim: look again when it is back
                continue
            self._judge(snapshot)
            await asyncio.sleep(max(0.05, 2 * (time.monotonic() - began)))  # most of the machine belongs to who is watched

    def _judge(self, snapshot: Stored) -> None:
        self.snapshots += 1
        near = {place: wanted for place, wanted in self._expected.items() if place[1] >= snapshot.floor}
        self.violations += torn(near, snapshot)[: 20 - len(self.violations)]
        if snapshot.next:
            self._floor = max(0, min(snapshot.next.values()) - MARGIN)
