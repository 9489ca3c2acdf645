"""The sink keeps the contract of sinks, on a real redis-server that is killed and started again."""
# ruff: noqa: ARG002, PLR2004  # hooks of the contract have arguments

import asyncio
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from stockifyd_redis import Redis

from stockifyd.api import Batch, Drift, Row, StockifydError, Table, Unavailable
from stockifyd.testing import SinkContract, make, make_batch, run

PASSWORD = "password-that-nobody-may-see"
PROGRAM = shutil.which("redis-server")


class Server:
    """A redis-server on loopback that forgets nothing when it is killed; ended by its pid."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.client = redis.Redis(port=self.port, password=PASSWORD, decode_responses=True)
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "requirepass": PASSWORD, "dir": self.folder, "save": ""}
        lasting = {"appendonly": "yes", "appendfsync": "always"}
        words = [str(word) for name, value in (options | lasting).items() for word in (f"--{name}", value)]
        with (self.folder / "redis.log").open("ab") as log:
            self.child = subprocess.Popen([PROGRAM or "redis-server", *words], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self.answers():
            assert self.child.poll() is None and time.monotonic() < deadline, (self.folder / "redis.log").read_text()  # noqa: PT018
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        if self.child is not None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            self.child = None

    def set(self, name: str, value: object) -> None:
        self.client.config_set(name, str(value))

    def hashes(self) -> dict[str, dict[str, str]]:
        """All that is kept, by key."""
        keys: Any = self.client.keys()
        found: Any = {key: self.client.hgetall(key) for key in sorted(keys)}
        return dict(found)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if PROGRAM is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server = Server(tmp_path_factory.mktemp("redis"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def server(running: Server) -> Server:
    """Empty, and as it was configured first."""
    if running.child is None:
        running.start()
    running.set("maxmemory", 0)
    running.set("min-replicas-to-write", 0)
    running.client.flushall()
    return running


class TestRedis(SinkContract[Redis]):
    sink = Redis
    server: Server

    @pytest.fixture(autouse=True)
    def a_server(self, server: Server) -> None:
        self.server = server

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"url": self.server.url, "key": ["number"], "prefix": "rows"}

    def stored(self, sink: Redis) -> list[Row]:
        return sorted((int(fields["number"]), fields.get("text")) for fields in self.server.hashes().values())

    def bad_row(self) -> Row:
        return None, "no key"

    def break_it(self, component: Redis) -> None:
        self.server.kill()

    def slow_it(self, component: Redis) -> None:
        self.server.client.client_pause(200, all=False)

    def mend_it(self, component: Redis) -> None:
        if self.server.child is None:
            self.server.start()


def written(server: Server, columns: tuple[str, ...], *rows: Row, **options: Any) -> dict[str, dict[str, str]]:
    """What is kept when each row came in a batch of its own."""
    for number, row in enumerate(rows):
        batch = make_batch(1, first=number)
        table = Table(columns, [row], [1])
        run(Batch(batch.messages, {"options": table}, advance=batch.advance), make(Redis, url=server.url, **options))
    return server.hashes()


def test_the_latest_row_of_a_key_is_kept(server: Server) -> None:
    """A later row takes the place of an earlier one, whole: a field that is null now is gone."""
    kept = written(server, ("symbol", "price", "oi"), ("TCS", 1.5, 7), ("SBI", 2.0, 8), ("TCS", 1.75, None), key=["symbol"])
    assert kept == {
        "stockifyd:SBI": {"symbol": "SBI", "price": "2.0", "oi": "8"},
        "stockifyd:TCS": {"symbol": "TCS", "price": "1.75"},
    }


def test_fields_are_text(server: Server) -> None:
    """Times, days, truth and bytes in forms that every language reads."""
    row = (1, datetime(2026, 11, 24, 3, 45, tzinfo=UTC), date(2026, 11, 24), True, b"raw")
    kept = written(server, ("id", "at", "day", "open", "raw"), row, key=["id"])
    assert list(kept["stockifyd:1"].values()) == ["1", "2026-11-24T03:45:00+00:00", "2026-11-24", "true", "raw"]


def test_keys_do_not_run_into_each_other(server: Server) -> None:
    """A colon inside a value is not one between values."""
    kept = written(server, ("a", "b"), ("x:y", "z"), ("x", "y:z"), ("100%", "%3A"), key=["a", "b"])
    assert sorted(kept) == ["stockifyd:100%25:%253A", "stockifyd:x%3Ay:z", "stockifyd:x:y%3Az"]


def test_rows_expire(server: Server) -> None:
    """With `expire_secs` a key has its time; without, none."""
    written(server, ("id",), (1,), key=["id"], expire_secs=1000)
    written(server, ("id",), (2,), key=["id"])
    assert (900 < server.client.ttl("stockifyd:1") <= 1000, server.client.ttl("stockifyd:2")) == (True, -1)


async def attempt(server: Server, **options: Any) -> StockifydError:
    sink = make(Redis, **{"url": server.url, "key": ["number"], **options})
    try:
        await sink.open()
        await sink.write(make_batch(3))
    except StockifydError as error:
        return error
    finally:
        await sink.close()
    raise AssertionError("it fits")


@pytest.mark.parametrize(("name", "value"), [("maxmemory", 1), ("min-replicas-to-write", 1)])
def test_a_server_that_cannot_write_is_away(server: Server, name: str, value: int) -> None:
    """Full, or with too few replicas: it is waited for, and the reason holds no row."""
    server.set(name, value)
    error = asyncio.run(attempt(server))
    assert (type(error), "row 0" in f"{error}") == (Unavailable, False)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"url": "redis://:wrong-password@127.0.0.1:{port}/0"}, Drift),
        ({"url": "http://127.0.0.1:{port}"}, Drift),
        ({"key": ["nowhere"]}, Drift),
        ({"url": "redis://127.0.0.1:1/0"}, Unavailable),
    ],
)
def test_what_does_not_fit(server: Server, options: dict[str, Any], expected: type[StockifydError]) -> None:
    """A wrong password, URL or key halts, and is not printed; a port without a server is waited for."""
    filled = {name: value.format(port=server.port) if isinstance(value, str) else value for name, value in options.items()}
    error = asyncio.run(attempt(server, **filled))
    assert (type(error), "wrong-password" in f"{error} {error.hint}") == (expected, False)


def test_a_server_that_forgets_is_found(server: Server) -> None:
    """`doctor` is told where nothing would survive a crash of Redis."""

    async def findings() -> list[str]:
        sink = make(Redis, url=server.url, key=["number"])
        await sink.open()
        try:
            return list(await sink.probe())
        finally:
            await sink.close()

    assert asyncio.run(findings()) == []
    server.set("appendonly", "no")
    assert asyncio.run(findings()) == ["redis keeps no append-only file: set `appendonly yes`"]
    server.set("appendonly", "yes")
