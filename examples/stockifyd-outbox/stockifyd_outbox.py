"""Reads an SQLite table as it grows: a row is a message, its id the offset."""

import asyncio
import sqlite3
import zlib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from msgspec import Meta

from stockifyd.api import Claims, Component, Config, Drift, Message, Partition, Position, Source, Unavailable, hookimpl

requires_api = 1

DDL = "CREATE TABLE IF NOT EXISTS stockifyd_read(consumer, topic, next INT, PRIMARY KEY(consumer, topic))"
REMEMBERED = "SELECT topic, next FROM stockifyd_read WHERE consumer = ?"
REMEMBER = "INSERT INTO stockifyd_read VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next"

Name = Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]


class OutboxOptions(Config, frozen=True):
    path: Annotated[str, Meta(description="The database's file.")]
    table: Annotated[Name, Meta(description="The table; its `id` is INTEGER PRIMARY KEY AUTOINCREMENT.")] = "outbox"
    payload: Annotated[Name, Meta(description="The column with the message, text or bytes.")] = "payload"
    stream: Annotated[
        Name | None, Meta(description="The column whose values are partitions, each in order; without it the table is one.")
    ] = None
    at_end: Annotated[Literal["stop", "wait"], Meta(description="What to do when all is read: end, or wait for more.")] = "wait"
    poll_ms: Annotated[int, Meta(ge=1, le=1000, description="How often to look for more.")] = 500
    read_max_messages: Annotated[int, Meta(ge=1, description="Messages of a partition that are read at a time.")] = 500
    timeout_ms: Annotated[int, Meta(ge=0, description="Wait this long for a writer's lock.")] = 1000


class Outbox(Source[OutboxOptions]):
    """Reads the rows of an SQLite table in the order of their ids, one message each: an outbox that a program fills.

    How far a pipeline has come is kept in the same file, table `stockifyd_read`, for sinks that keep no ledger. Instances
    share the partitions by their number.
    """

    type = "outbox"
    db: sqlite3.Connection | None = None
    paused = False

    async def open(self) -> None:
        await self.close()
        with self._opened(connect=True) as db:
            db.execute(DDL)
            # Names in brackets: an unknown one in double quotes is a text to SQLite, and would be every message.
            db.execute(f"SELECT id, [{self.config.payload}], {self._stream} FROM [{self.config.table}] LIMIT 0")

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        streams, at = dict[Partition, Any](), dict[Partition, int]()
        while True:
            if new := self._unclaimed(at):
                streams.update(new)
                at.update(await claims.take(dict.fromkeys(new, 0), self._remembered(new)))
            looked, messages = not self.paused, [] if self.paused else self._next(streams, at)
            if looked and not messages and self.config.at_end == "stop":
                return
            yield messages  # also when there is nothing: the pipeline gets its turn
            at.update({message.position.partition: message.position.offset + 1 for message in messages})
            if not messages:
                await asyncio.sleep(self.config.poll_ms / 1000)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        with self._opened() as db:
            db.executemany(REMEMBER, [(self.consumer, partition.topic, offset) for partition, offset in offsets.items()])

    async def close(self) -> None:
        if self.db is not None:
            self.db.close()
            self.db = None

    @property
    def _stream(self) -> str:
        return f"[{self.config.stream}]" if self.config.stream else "NULL"

    def _unclaimed(self, at: Mapping[Partition, int]) -> dict[Partition, Any]:
        """Partitions of this instance that are not claimed yet, with their stream: they come into being with their first row."""
        with self._opened() as db:
            found = db.execute(f"SELECT DISTINCT {self._stream} FROM [{self.config.table}]").fetchall()
        new = {partition: stream for (stream,) in found if (partition := self._partition(stream)) not in at}
        number, of = self.context.instance_id, self.context.total_instances
        return {p: stream for p, stream in new.items() if zlib.crc32(p.topic.encode()) % of == number - 1}

    def _remembered(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        with self._opened() as db:
            known = dict(db.execute(REMEMBERED, (self.consumer,)).fetchall())
        return {partition: known[partition.topic] for partition in partitions if partition.topic in known}

    def _next(self, streams: Mapping[Partition, Any], at: Mapping[Partition, int]) -> list[Message]:
        sql = (
            f"SELECT id, [{self.config.payload}] FROM [{self.config.table}]"
            f" WHERE id >= ? AND {self._stream} IS ? ORDER BY id LIMIT {self.config.read_max_messages}"
        )
        with self._opened() as db:
            rows = [(partition, *row) for partition, start in at.items() for row in db.execute(sql, (start, streams[partition]))]
        return [Message(Position(partition, offset), _bytes(payload)) for partition, offset, payload in rows]

    def _partition(self, stream: Any) -> Partition:
        return Partition(self.config.table if stream is None else f"{self.config.table}/{stream}")

    @contextmanager
    def _opened(self, *, connect: bool = False) -> Iterator[sqlite3.Connection]:
        path = self.config.path
        try:
            if connect:
                self.db = sqlite3.connect(path, self.config.timeout_ms / 1000)
            if self.db is None:
                raise Unavailable(f"{path} is not open")
            with self.db:
                yield self.db
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # what SQL names is not there
                raise Drift(f"{path}: {error}", hint="make the table or the column, or correct the options") from error
            raise Unavailable(f"{path}: {error}") from error


def _bytes(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else b"" if payload is None else str(payload).encode(errors="surrogatepass")


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Outbox]
