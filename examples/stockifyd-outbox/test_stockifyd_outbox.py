"""The source keeps the contract of sources, bounded and endless; what it remembers, and how instances share."""
# ruff: noqa: ARG002  # hooks of the contract have arguments

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from stockifyd_outbox import Outbox

from stockifyd.api import Drift, Partition
from stockifyd.testing import MemoryClaims, SourceContract, make, make_context

TABLE = "CREATE TABLE IF NOT EXISTS outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, payload)"


def add(path: Path, *rows: tuple[str | None, bytes | str]) -> None:
    """A program fills its outbox."""
    db = sqlite3.connect(path)
    with db:
        db.execute(TABLE)
        db.executemany("INSERT INTO outbox(symbol, payload) VALUES(?, ?)", rows)
    db.close()


class TestOutbox(SourceContract[Outbox]):
    source = Outbox
    lock: sqlite3.Connection

    def options(self, tmp_path: Path) -> dict[str, Any]:
        add(tmp_path / "quotes.db")
        more = {"stream": "symbol", "at_end": "stop" if self.bounded else "wait"}
        return {"path": str(tmp_path / "quotes.db"), "read_max_messages": 2, "poll_ms": 1, "timeout_ms": 10, **more}

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        add(tmp_path / "quotes.db", *((("TCS", "SBI")[n % 2], body) for n, body in enumerate(bodies)))

    def break_it(self, component: Outbox) -> None:
        self.lock = sqlite3.connect(component.config.path, isolation_level=None)
        self.lock.execute("BEGIN EXCLUSIVE")

    def mend_it(self, component: Outbox) -> None:
        self.lock.close()


class TestOutboxThatWaits(TestOutbox):
    bounded = False


class TestOutboxOfOnePartition(TestOutbox):
    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {key: value for key, value in super().options(tmp_path).items() if key != "stream"}


def texts(source: Outbox, claims: MemoryClaims) -> list[str]:
    """All that a source reads until it ends."""

    async def read() -> list[str]:
        await source.open()
        try:
            return [message.raw.decode() async for part in source.read(claims) for message in part]
        finally:
            await source.close()

    return asyncio.run(read())


def test_it_remembers_how_far_it_came(tmp_path: Path) -> None:
    """What was committed is told to the next claim: without a ledger, reading goes on behind it."""
    path = tmp_path / "quotes.db"
    add(path, (None, "one"), (None, "two"), (None, "three"))

    async def commit() -> None:
        source = make(Outbox, path=str(path))
        await source.open()
        await source.commit({Partition("outbox"): 2})
        await source.commit({Partition("outbox"): 3})
        await source.close()

    asyncio.run(commit())
    assert texts(make(Outbox, path=str(path), at_end="stop"), MemoryClaims()) == ["three"]


def test_a_ledger_knows_better(tmp_path: Path) -> None:
    """What a claim answers is where reading begins, whatever was committed here."""
    add(tmp_path / "quotes.db", (None, "one"), (None, "two"))
    claims = MemoryClaims({Partition("outbox"): 2})
    assert texts(make(Outbox, path=str(tmp_path / "quotes.db"), at_end="stop"), claims) == ["two"]


def test_instances_share_the_partitions(tmp_path: Path) -> None:
    """Each message is read by one of three, and each partition as a whole."""
    path = tmp_path / "quotes.db"
    add(path, *((f"S{n % 7}", f"S{n % 7}") for n in range(70)))
    options = {"path": str(path), "stream": "symbol", "at_end": "stop"}
    parts = [texts(make(Outbox, make_context(instance_id=n, total_instances=3), **options), MemoryClaims()) for n in (1, 2, 3)]
    assert sorted(parts[0] + parts[1] + parts[2]) == sorted(f"S{n % 7}" for n in range(70))
    assert [set(a) & set(b) for a, b in ((parts[0], parts[1]), (parts[1], parts[2]), (parts[0], parts[2]))] == [set()] * 3


def test_a_partition_that_comes_later(tmp_path: Path) -> None:
    """A stream that nobody has heard of is claimed when its first row is there."""
    path, claims = tmp_path / "quotes.db", MemoryClaims()
    add(path, ("TCS", "one"))

    async def read() -> list[bytes]:
        source = make(Outbox, path=str(path), stream="symbol", poll_ms=1)
        await source.open()
        found = list[bytes]()
        reading = source.read(claims)
        async for part in reading:
            found += [message.raw for message in part]
            if len(found) == 1 and not part:
                add(path, ("SBI", "two"))
            if len(found) == 2:  # noqa: PLR2004
                break
        await source.close()
        return found

    assert asyncio.run(asyncio.wait_for(read(), 30)) == [b"one", b"two"]
    assert claims.taken == [{Partition("outbox/TCS"): 0}, {Partition("outbox/SBI"): 0}]


@pytest.mark.parametrize(("options", "reason"), [({"table": "inbox"}, "no such table: inbox"), ({"payload": "body"}, "body")])
def test_what_is_not_there(options: dict[str, str], reason: str, tmp_path: Path) -> None:
    """A missing table or column is Drift, found before the first message."""
    add(tmp_path / "quotes.db")
    source = make(Outbox, path=str(tmp_path / "quotes.db"), **options)
    with pytest.raises(Drift, match=reason):
        asyncio.run(source.open())
    asyncio.run(source.close())
