"""Files in and out of a running pipeline: in an empty folder, killed, and into PostgreSQL exactly once."""

from __future__ import annotations

import asyncio
import csv
import json
import random
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.eventually import eventually
from kit.fixtures_postgres import Database
from kit.worker import PROGRAM, Worker, environment

LOOK: dict[str, Any] = {
    "version": 1,
    "name": "look",
    "source": {
        "type": "generate",
        "template": {"at": "{now}", "legs": [{"n": "{n}", "kind": "CE"}, {"n": "{n}", "kind": "PE"}]},
        "count": 50,
        "rate_per_sec": 10_000,
    },
    "transforms": [
        {"type": "decode"},
        {
            "type": "flatten",
            "table": "legs",
            "each": "legs",
            "columns": {"n": {"type": "int"}, "kind": {"type": "text"}, "at": {"from": "$.at", "type": "timestamp"}},
        },
        {"type": "filter", "table": "legs", "where": "kind = 'CE' AND n % 10 = 0"},
        {"type": "select", "table": "legs", "columns": ["n", "kind"]},
    ],
    "sinks": [{"type": "stdout", "table": "legs"}],
}


def run(folder: Path, spec: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    command = [str(PROGRAM), "run", "spec.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment(), timeout=120)


def test_made_up_messages_on_standard_output(tmp_path: Path) -> None:
    """generate, decode, flatten, filter, select, stdout: without a server and without Python; it ends with 0."""
    done = run(tmp_path, LOOK)
    assert ([{"n": n, "kind": "CE"} for n in range(0, 50, 10)], 0) == (
        list(map(json.loads, done.stdout.splitlines())),
        done.returncode,
    )


def test_a_file_into_csv(tmp_path: Path) -> None:
    """JSON lines become CSV, what is none of them a dead letter in another file."""
    (tmp_path / "in.jsonl").write_text('{"n":1,"kind":"CE"}\nbad\n{"n":2,"kind":"a, b"}\n')
    spec = {
        **LOOK,
        "source": {"type": "file", "path": "in.jsonl"},
        "transforms": [{"type": "flatten", "table": "legs", "columns": {"n": {"type": "int"}, "kind": {"type": "text"}}}],
        "sinks": [{"type": "file", "path": "out.csv", "format": "csv", "table": "legs"}],
        "delivery": {"dead_letters": {"sink": {"type": "file", "path": "dead.jsonl", "table": "dead_letters"}}},
    }
    done = run(tmp_path, spec)
    assert (0, b'n,kind\r\n1,CE\r\n2,"a, b"\r\n') == (done.returncode, (tmp_path / "out.csv").read_bytes()), done.stderr
    [letter] = map(json.loads, (tmp_path / "dead.jsonl").read_text().splitlines())
    assert ("bad", 1, "flatten") == (letter["payload"], letter["offset"], letter["stage"])


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_killed_while_it_writes(tmp_path: Path, chance: random.Random, form: str) -> None:
    """kill -9 again and again: each line can be read, no row is missing, finished files stay as they are."""
    count, out = 3_000, tmp_path / "out.txt"
    spec = {
        **LOOK,
        "source": {**LOOK["source"], "count": count},
        "transforms": LOOK["transforms"][:2],
        "sinks": [{"type": "file", "path": str(out), "format": form, "table": "legs", "rotate_bytes": 10_000}],
        "delivery": {"batch_max_rows": 50},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    worker = Worker(tmp_path / "spec.yaml", tmp_path / "log", settings={})
    finished = dict[Path, bytes]()
    for _ in range(4):
        before = _size(tmp_path)
        worker.start()
        await eventually(lambda before=before: _size(tmp_path) > before + 15_000 or not worker.alive)  # type: ignore[misc]
        await asyncio.sleep(chance.uniform(0, 0.2))
        worker.kill()
        finished |= {path: path.read_bytes() for path in tmp_path.glob("out.*Z.txt") if path not in finished}
    worker.start()
    assert 0 == await worker.ended()
    rows = [row for path in [out, *tmp_path.glob("out.*Z.txt")] for row in _rows(path, form)]
    assert {(n, kind) for n in range(count) for kind in ("CE", "PE")} == set(rows)
    assert finished == {path: path.read_bytes() for path in finished}
    assert finished


def _size(folder: Path) -> int:
    """Of all files; one that is renamed while we look is not counted."""
    size = 0
    for path in folder.glob("out*.txt"):
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def _rows(path: Path, form: str) -> list[tuple[int, str]]:
    if form == "json":
        return [(row["n"], row["kind"]) for row in map(json.loads, path.read_text().splitlines())]
    with path.open(newline="") as file:
        return [(int(row["n"]), row["kind"]) for row in csv.DictReader(file)]


async def test_lines_are_stored_once(database: Database, tmp_path: Path, chance: random.Random) -> None:
    """A file into PostgreSQL, killed on the way: each line once. Lines that come later are all that a second run reads."""
    count, source = 30_000, tmp_path / "in.csv"
    source.write_text("n,kind\n" + "".join(f"{n},CE\n" for n in range(count)))
    database.sql("CREATE TABLE legs (n int, kind text)")
    spec = {
        **LOOK,
        "source": {"type": "file", "path": "in.csv", "format": "csv", "numbers": ["n"]},
        "transforms": [{"type": "flatten", "table": "legs", "columns": {"n": {"type": "int"}, "kind": {"type": "text"}}}],
        "sinks": [{"type": "postgres", "database": "primary", "tables": {"legs": {"into": "legs"}}}],
        "delivery": {"batch_max_rows": 200, "guarantee": "exactly_once"},
    }
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    settings = {"DATABASE_URL": database.url}
    migrate = [str(PROGRAM), "migrate", str(path), "--url", database.owner_url]
    subprocess.run(migrate, check=True, capture_output=True, env=environment(**settings))
    worker, stored = Worker(path, tmp_path / "log", settings=settings), 0
    for _ in range(3):
        worker.start()
        await eventually(lambda least=stored: _stored(database) > least or not worker.alive)  # type: ignore[misc]
        await asyncio.sleep(chance.uniform(0, 0.1))
        worker.kill()
        stored = _stored(database)
    worker.start()
    assert 0 == await worker.ended(), worker.log
    assert [str(count), str(count)] == database.sql("SELECT count(*), count(DISTINCT n) FROM legs").strip().split("|")
    with source.open("a") as file:
        file.write(f"{count},PE\n")
    worker.start()
    assert 0 == await worker.ended(), worker.log
    assert f"{count + 1}|PE" == database.sql("SELECT (SELECT count(*) FROM legs), kind FROM legs ORDER BY n DESC LIMIT 1").strip()


def _stored(database: Database) -> int:
    return int(database.sql("SELECT count(*) FROM legs").strip())
