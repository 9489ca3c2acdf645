"""Exactly once into SQLite: the smallest sink that keeps its own offsets."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import (
    Batch,
    Component,
    Config,
    DeadLetter,
    Drift,
    Fenced,
    LedgerSink,
    Partition,
    Receipt,
    Reject,
    Row,
    Table,
    Tables,
    Unavailable,
    hookimpl,
)

DDL = """
CREATE TABLE IF NOT EXISTS stockifyd_offsets(consumer, sink, topic, number, cluster, next INT, epoch INT,
  PRIMARY KEY(consumer, sink, topic, number, cluster));
CREATE TABLE IF NOT EXISTS stockifyd_dead_letters(consumer, sink, topic, number, cluster, "offset", reason, payload,
  PRIMARY KEY(consumer, sink, topic, number, cluster, "offset"));
"""
OURS = "consumer = ? AND sink = ? AND topic = ? AND number = ? AND cluster = ?"
LOOK = f"SELECT next FROM stockifyd_offsets WHERE {OURS}"
CLAIM = (
    "INSERT INTO stockifyd_offsets VALUES(?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING next, epoch"
)
SWAP = f"UPDATE stockifyd_offsets SET next = ? WHERE {OURS} AND next = ? AND epoch = ?"
BURY = "INSERT INTO stockifyd_dead_letters VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
UNFIT = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, OverflowError, UnicodeEncodeError)
"""What SQLite and its driver say of a row that can never be stored."""

Name = Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]


class SqliteOptions(Config, frozen=True):
    path: Annotated[str, Meta(description="The database's file.")]
    tables: Annotated[dict[str, Name], Meta(description="Tables of the batch, each with the table of the database it goes into.")]
    timeout_ms: Annotated[int, Meta(ge=0, description="Wait this long for another writer's lock.")] = 5000


class Sqlite(LedgerSink[SqliteOptions]):
    """Writes tables to an SQLite file, exactly once: rows, dead letters and offsets in one transaction.

    For small streams: SQLite works while the event loop waits.
    """

    type = "sqlite"
    db: sqlite3.Connection | None = None

    async def open(self) -> None:
        await self.close()
        self.epochs: dict[Partition, int] = {}
        with self._transaction(connect=True) as db:
            db.executescript(DDL)
            for into in self.config.tables.values():
                db.execute(f'SELECT 1 FROM "{into}" LIMIT 0')

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        with self._transaction() as db:
            found = {partition: db.execute(LOOK, self._key(partition)).fetchone() for partition in partitions}
        return {partition: row[0] for partition, row in found.items() if row}

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        with self._transaction() as db:
            rows = {p: db.execute(CLAIM, (*self._key(p), start)).fetchone() for p, start in sorted(starts.items())}
        self.epochs.update({partition: epoch for partition, (_, epoch) in rows.items()})
        return {partition: at for partition, (at, _) in rows.items()}

    async def write(self, batch: Batch) -> Receipt:
        with self._transaction() as db:
            # The transaction has SQLite's one write lock already: compared first, a replay meets no unique key.
            for partition, span in batch.advance.items():
                swap = (span.next, *self._key(partition), span.base, self.epochs.get(partition))
                if db.execute(SWAP, swap).rowcount != 1:
                    raise Fenced(f"{partition.topic}/{partition.number} is not at {span.base}, or not ours")
            db.executemany(BURY, map(self._letter, batch.rejected))
            written = sum(self._insert(db, name, batch.tables.get(name)) for name in self.config.tables)
        return Receipt(rows=written)

    def wants(self) -> Tables:
        return dict.fromkeys(self.config.tables, ())

    async def close(self) -> None:
        if self.db is not None:
            self.db.close()
            self.db = None

    def _key(self, partition: Partition) -> Row:
        return self.context.consumer, self.context.name, *partition

    def _letter(self, letter: DeadLetter) -> Row:
        (partition, offset), raw = letter.message.position, letter.message.raw
        return *self._key(partition), offset, letter.reason.encode(errors="replace").decode(), raw

    def _insert(self, db: sqlite3.Connection, name: str, table: Table | None) -> int:
        if table is None:
            return 0
        columns = ",".join(f'"{column}"' for column in table.columns)
        marks = ",".join("?" * len(table.columns))
        try:
            db.executemany(f'INSERT INTO "{self.config.tables[name]}" ({columns}) VALUES({marks})', table.rows)
        except UNFIT as error:
            raise Reject(str(error), table=name) from error
        return len(table.rows)

    @contextmanager
    def _transaction(self, *, connect: bool = False) -> Iterator[sqlite3.Connection]:
        path = self.config.path
        try:
            if connect:
                self.db = sqlite3.connect(path, self.config.timeout_ms / 1000, isolation_level="IMMEDIATE")
            if self.db is None:
                raise Unavailable(f"{path} is not open")
            with self.db:
                yield self.db
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # what SQL names is not there
                raise Drift(f"{path}: {error}", hint="make the table or the column, or correct the option `tables`") from error
            raise Unavailable(f"{path}: {error}") from error


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Sqlite]
