"""The servers that a benchmark runs on, and the program under test as a process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from kit import kafka_topics  # noqa: E402 - the servers of the tests, after the path is set
from kit.kafka import KafkaServer  # noqa: E402
from kit.pgbouncer import PgBouncer  # noqa: E402
from kit.postgres import PostgresServer  # noqa: E402
from stockifyd.api import Table  # noqa: E402

WRITER = "stockify_writer"
DATABASE = "bench"
DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "track_commit_timestamp": "on",  # latency is read from it
}
STOCKIFYD = [sys.executable, "-m", "stockifyd"]


@dataclass
class Bed:
    """Kafka, PostgreSQL as it is run in earnest (fsync on), and PgBouncer in transaction pooling."""

    folder: Path
    kafka: KafkaServer
    postgres: PostgresServer
    pgbouncer: PgBouncer
    made: list[Run] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _connection: asyncpg.Connection[asyncpg.Record] | None = None

    @property
    def url(self) -> str:
        """The writer, through PgBouncer."""
        return self.pgbouncer.url(DATABASE, user=WRITER)

    def environment(self, **more: str) -> dict[str, str]:
        """What `stockifyd` needs to find the servers."""
        return os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "DATABASE_URL": self.url,
            "DATABASE_OWNER_URL": self.postgres.url(DATABASE),
            "STOCKIFYD_RUNTIME": str(self.folder / "run"),
            "XDG_STATE_HOME": str(self.folder / "state"),
        } | more  # fmt: skip

    def migrate(self, spec: Path) -> None:
        subprocess.run([*STOCKIFYD, "migrate", str(spec)], env=self.environment(), check=True, capture_output=True)

    def sql(self, text: str) -> str:
        return self.postgres.sql(text, database=DATABASE)

    def ask(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows, over a connection that stays open: what is measured has the machine to itself."""
        if self._connection is None:
            self._connection = self.loop.run_until_complete(asyncpg.connect(self.postgres.url(DATABASE)))
        return self.loop.run_until_complete(self._connection.fetch(query, *arguments))

    def copy(self, table: Table) -> None:
        """Rows into `option_contracts`, as its owner."""
        self.ask("SELECT 1")
        if self._connection is not None:
            work = self._connection.copy_records_to_table("option_contracts", columns=table.columns, records=table.rows)
            self.loop.run_until_complete(work)

    def stored(self, group: str) -> int:
        """Messages that are durable, by the ledger of a group whose topic begins at 0."""
        found = self.ask("SELECT sum(next_offset)::bigint FROM stockifyd.offsets WHERE consumer = $1", group)
        return found[0][0] or 0

    def psql(self, command: str) -> float:
        """Seconds that psql takes for a command, as the writer, through PgBouncer."""
        began = time.perf_counter()
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command, self.url], check=True)
        return time.perf_counter() - began

    def produce(self, topic: str, partitions: int, messages: Mapping[int, list[bytes]]) -> None:
        async def work() -> None:
            await kafka_topics.create_topic(self.kafka.direct, topic, partitions)
            await kafka_topics.produce_all(
                self.kafka.direct, topic, messages, linger_ms=20, max_batch_size=2**20, compression_type="lz4"
            )  # fmt: skip

        asyncio.run(work())

    def run(self, spec: Path, *more: Path, before: Sequence[str] = (), **environment: str) -> Run:
        """Start `stockifyd run` of a spec, or several; `before` is the start of a command that runs it."""
        path = self.folder / f"{spec.stem}-{len(self.made)}.log"
        command = [*before, *STOCKIFYD, "run", str(spec), *map(str, more), "--listen", "127.0.0.1:0"]
        with path.open("wb") as log:
            process = subprocess.Popen(command, env=self.environment(**environment), stdout=log, stderr=log)
        self.made.append(Run(process, path))
        return self.made[-1]


@dataclass
class Run:
    """A running `stockifyd run`."""

    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """RuntimeError with its last words if it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"stockifyd ended:\n{self.log.read_text()[-3000:]}")

    def address(self) -> str:
        while True:
            self.check()
            if found := re.search(r"status page on (http\S+)", self.log.read_text()):
                return found[1]
            time.sleep(0.05)

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.address() + "status", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found[0]

    def usage(self) -> tuple[float, float]:
        """CPU seconds so far, and the peak of resident memory in MiB."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), int(peak[1]) / 1024 if peak else 0.0

    def watched(self) -> tuple[float, float]:
        """The most that `usage` ever said, once the process has ended by itself."""
        cpu = peak = 0.0
        while self.process.poll() is None:
            with suppress(OSError, IndexError):  # it ends in this moment
                now = self.usage()
                cpu, peak = max(cpu, now[0]), max(peak, now[1])
            time.sleep(0.02)
        return cpu, peak

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def bed() -> Iterator[Bed]:
    """All servers, up; and down again at the end, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="stockifyd-bench-") as name, PostgresServer(DURABLE) as postgres:
        postgres.create_role(WRITER)
        postgres.create_database(DATABASE)
        kafka = KafkaServer(Path(name) / "kafka")
        kafka.start()
        with PgBouncer(postgres) as pgbouncer:
            made = Bed(Path(name), kafka, postgres, pgbouncer)
            try:
                yield made
            finally:
                for run in made.made:
                    run.kill()
                kafka.stop()
