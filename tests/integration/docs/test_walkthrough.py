"""A reader's first hour: every block of README and docs that needs servers, run in order on real ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from kit.documents import ROOT, marked, section, table, words
from kit.fixtures_postgres import Database
from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic, produce
from stockifyd_optionchain.simulator import Simulator

CHAINS, STRIKES = 4, 5
FIRST = ("README.md", "docs/operating.md", "docs/historical.md")
"""README makes the tables and stores; then dead letters can be looked at."""
DEADLINE_SECS = 60
NOTHING_WRONG = ("HAVING count(*) > 1", "FULL JOIN", "was <> ended")
"""Queries of docs/exactly-once.md that find what must not be."""
EXPECTED = {"dlq retry": 1}
"""What was refused is refused again, and docs say that this is 1."""


class Reader:
    """Somebody who types what the docs say, in a folder with the pipelines."""

    def __init__(self, folder: Path, kafka: KafkaServer, database: Database) -> None:
        shutil.copytree(ROOT / "pipelines", folder / "pipelines")
        self.folder, self.database = folder, database
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "DATABASE_URL": database.url,
            "DATABASE_OWNER_URL": database.owner_url,
        }

    def type(self, line: str) -> str:
        """Run a line to its end; answers with what it printed."""
        if line.startswith("stockifyd run "):
            return self.run(line)
        done = subprocess.run(
            line,
            shell=True,
            check=False,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECS,
        )
        assert next((code for part, code in EXPECTED.items() if part in line), 0) == done.returncode, f"{line}: {done.stderr}"
        return done.stdout

    def run(self, line: str) -> str:
        """Run a daemon until all is stored, look at its pages, then SIGTERM; answers with its metrics."""
        log = self.folder / "run.log"
        command = line.replace(":8080", ":0").split()
        with log.open("wb") as out:
            child = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=out, stderr=out)
        try:
            self._await(lambda: self.stored() == (CHAINS * STRIKES * 2, 1), child, log)
            metrics = self._look(log)
        finally:
            child.terminate()
            code = child.wait(DEADLINE_SECS)
        assert 0 == code, log.read_text()
        self._check_lines(log.read_text())
        return metrics

    def stored(self) -> tuple[int, int]:
        """Rows and dead letters."""
        counts = self.database.sql(
            "SELECT (SELECT count(*) FROM option_contracts), (SELECT count(*) FROM stockifyd.dead_letters)"
        )
        rows, letters = counts.split("|")
        return int(rows), int(letters)

    def finds_wrong(self, queries: str) -> list[str]:
        """What a block of SQL that an operator may run answers, if it is one whose answer must be empty."""
        answer = self.database.sql(queries)
        return answer.splitlines() if any(word in queries for word in NOTHING_WRONG) else []

    def _await(self, done: Callable[[], bool], child: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + DEADLINE_SECS
        while not done():
            assert child.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def _look(self, log: Path) -> str:
        """Every page that the docs name answers."""
        (address,) = re.findall(r"status page on (http://\S+)/", log.read_text())
        pages: dict[str, str] = {}
        for path in (word for row in table(section("docs/operating.md", "Endpoints")) for word in words(row[0])):
            with urllib.request.urlopen(address + path, timeout=10) as answer:
                pages[path] = answer.read().decode()
        return pages["/metrics"]

    def _check_lines(self, log: str) -> None:
        """The lines of a healthy start, as the docs have them."""
        said = section("docs/operating.md", "Log lines")
        for line in ("Storage instance 1/1 starting", "✓ Kafka consumer started with group 'storage-group'", "Storage stopped"):
            assert line in log
            assert line.replace("1/1", "1/2") in said
        assert re.search(r"✓ Database connected: primary through \S+ \(transaction pooling\)", log)
        assert re.search(r"✓ Assigned partitions: \[0, 1\]", log)
        assert re.search(r"Stored \d+ messages, last: .+ \(\d+ options\) in \d+\.\d+s", log)
        assert "1 dead letter, first: market.enriched/0/2 rejected by 'flatten_chain'" in log


@pytest.mark.slow
async def test_every_block_that_needs_servers(tmp_path: Path, kafka: KafkaServer, database: Database) -> None:
    """Validate, migrate, run; then dead letters, and migrate once more."""
    await create_topic(kafka.direct, "market.enriched", 2)
    chains = [value for _, value, _ in islice(Simulator(1, datetime.now(UTC).date(), strikes=STRIKES), CHAINS)]
    await produce(kafka.direct, "market.enriched", [*chains[:2], b'{"strike": "no"}', *chains[2:]])
    reader = Reader(tmp_path, kafka, database)
    by_document = {name: [block for block in marked("sh servers") if block.path == ROOT / name] for name in FIRST}
    assert sum(map(len, by_document.values())) == len(marked("sh servers"))
    printed = {line: reader.type(line) for part in by_document.values() for block in part for line in block.lines}
    metrics = next(text for line, text in printed.items() if " run " in line)
    for metric in (word for row in table(section("docs/operating.md", "Metrics")) for word in words(row[0])):
        assert f"# TYPE {metric.removesuffix('_total')}" in metrics or f"# TYPE {metric}" in metrics
    reader.type("stockifyd migrate pipelines/analytics.yaml")  # some of the SQL looks into its tables
    assert [] == [(block, row) for block in marked("sql") for row in reader.finds_wrong(block.text)]
    listed = next(text for line, text in printed.items() if line.endswith("dlq ls pipelines/storage.yaml"))
    assert "market.enriched/0/2" in listed
