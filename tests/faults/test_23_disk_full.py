"""Fault 23: no space left for the tables, and for the WAL."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.conftest import Sight, long_form
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import READER, WRITER, Database
from kit.pgbouncer import PgBouncer
from kit.postgres import PostgresServer, own

SIZE = "96m"
CHUNK = bytes(256 * 1024)
SETTINGS = {
    "min_wal_size": "32MB",
    "max_wal_size": "48MB",
    "autovacuum": "off",  # it would make room of what failed COPYs left behind, and they might fit
}


@dataclass
class SmallDisk:
    """A file system in memory, with little room."""

    folder: Path

    def place(self, name: str) -> Path:
        """A folder on it, the server's own."""
        made = self.folder / name
        made.mkdir(mode=0o700)
        own(made)
        return made

    def fill(self) -> None:
        """Leave nothing."""
        with suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as filler:
            while filler.write(CHUNK):
                pass

    def make_room(self) -> None:
        (self.folder / "filler").unlink()


@contextmanager
def mounted() -> Iterator[SmallDisk]:
    """The disk; a skip where it cannot be had."""
    folder = Path(tempfile.mkdtemp(prefix="stockifyd-disk-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        if done.returncode:
            pytest.skip(f"only root can mount a small disk: {done.stderr.strip()}")
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], capture_output=True, check=done.returncode == 0)
        folder.rmdir()


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """Mounted for longer than the server lives."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    with mounted() as small:
        yield small


@pytest.fixture
def cramped(disk: SmallDisk) -> Iterator[Database]:
    """A database whose WAL is on the small disk, and that has a tablespace `small` there."""
    server = PostgresServer(SETTINGS)
    server.initialise()
    wal = disk.place("wal")
    shutil.copytree(server.data / "pg_wal", wal, dirs_exist_ok=True)
    for path in wal.rglob("*"):
        own(path)
    shutil.rmtree(server.data / "pg_wal")
    (server.data / "pg_wal").symlink_to(wal)
    try:
        server.start()
        for role in (WRITER, READER):
            server.create_role(role)
        server.create_database("faults")
        server.sql(f"CREATE TABLESPACE small LOCATION '{disk.place('tables')}'")
        with PgBouncer(server) as pooler:
            yield Database(server, pooler, "faults")
    finally:
        server.remove()


@long_form
async def test_tables_without_room_are_waited_for(make_bed: MakeBed, sight: Sight, cramped: Database, disk: SmallDisk) -> None:
    """The server says 53100 of every COPY: no dead letter, no offset moved, and all is stored once there is room."""
    async with scene(make_bed(database=cramped)) as on:
        for table in on.bed.tables:
            await on.bed.sql(f"ALTER TABLE {table} SET TABLESPACE small")
        worker = on.bed.worker()
        async with on.feed.flowing(60):
            await worker.until(lambda status: status["messages_delivered"] > 30)
            await asyncio.to_thread(disk.fill)
            waiting = await worker.until_state("waiting")
            before = await on.bed.books.next()
            await asyncio.sleep(3)
            assert before == await on.bed.books.next()
            assert {} == (await on.bed.books.everything()).letters
            disk.make_room()
            await worker.until_state("running")
        await on.judge()
        assert "53100" in waiting["reason"]
        sight.note(waiting=waiting["reason"][:90], messages=on.feed.sent, snapshots=on.reader.snapshots)


@long_form
async def test_wal_without_room_is_waited_for(make_bed: MakeBed, sight: Sight, cramped: Database, disk: SmallDisk) -> None:
    """The server panics, and ends if it cannot even recover; once there is room and it runs again, all is stored."""
    async with scene(make_bed(database=cramped)) as on:
        worker = on.bed.worker()
        async with on.feed.flowing(60):
            await worker.until(lambda status: status["messages_delivered"] > 30)
            await asyncio.to_thread(disk.fill)
            await _panicked(cramped.server)
            waiting = await worker.until_state("waiting")
            disk.make_room()
            ended = await _revived(cramped.server)
            await worker.until_state("running")
        await on.judge()
        status = await worker.until_state("running")
        assert status["messages_rejected"] == 0
        server = "ended, and was started" if ended else "recovered by itself"
        sight.note(server=server, waiting=waiting["reason"][:60], messages=on.feed.sent, snapshots=on.reader.snapshots)


async def _panicked(server: PostgresServer, within_secs: float = 60) -> None:
    """Use WAL up until there is none."""
    deadline = time.monotonic() + within_secs
    while "PANIC" not in server.log.read_text():
        assert time.monotonic() < deadline, "the server still finds room for its WAL"
        with suppress(RuntimeError):  # it may be down at this moment
            await asyncio.to_thread(server.sql, "SELECT pg_switch_wal()")
        await asyncio.sleep(0.05)


async def _revived(server: PostgresServer, within_secs: float = 60) -> bool:
    """Returns when it takes connections; whether it had to be started."""
    started, deadline = False, time.monotonic() + within_secs
    while True:
        assert time.monotonic() < deadline, f"the server is not back: {server.log.read_text()[-2000:]}"
        if server.child is None or server.child.poll() is not None:
            started = True
            await asyncio.to_thread(server.start)
        with suppress(RuntimeError):
            await asyncio.to_thread(server.sql, "SELECT 1")
            return started
        await asyncio.sleep(0.2)
