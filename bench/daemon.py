"""The daemon: how long a reload holds rows up, what fifty idle pipelines cost, and how soon it is ready."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bed import Bed, Run
from loads import PARTITIONS, Subject, empty

from kit.kafka_topics import create_topic, producer

CHAINS_A_SEC = 50
SETTLE_SECS = 1.0
IDLE_SECS = 20.0
REBALANCES = "The group rebalances"
COMMITS = "SELECT DISTINCT pg_xact_commit_timestamp(xmin) AS at FROM market_snapshots ORDER BY at"


class Pauses(NamedTuple):
    """Of commits one after the other, the longest time between two, in milliseconds: in each reload, and beside all of them."""

    reloading: Sequence[float]
    otherwise: float
    rebalances: int


def reloads(at: Bed, subject: Subject, name: str, count: int) -> Pauses:
    """Edits of a sink's option while chains flow."""
    empty(at, subject)
    spec = subject.spec(at, name)
    first = spec.read_text()
    run = at.run(spec)
    run.address()
    windows = list[tuple[datetime, datetime]]()
    with _flowing(at, subject):
        while not at.stored(name):
            time.sleep(0.1)
        before = run.log.read_text().count(REBALANCES)
        for n in range(count):
            time.sleep(SETTLE_SECS)
            began = datetime.now(UTC)
            _edit(spec, first, 5001 + n)
            while run.status()["reloads"].get("applied", 0) <= n:
                time.sleep(0.02)
            windows.append((began, datetime.now(UTC)))
        time.sleep(SETTLE_SECS)
    rebalances = run.log.read_text().count(REBALANCES) - before
    run.stop()
    commits = [row["at"] for row in at.ask(COMMITS)]
    gaps = [(a, b, (b - a).total_seconds() * 1000) for a, b in itertools.pairwise(commits) if a > windows[0][0]]
    inside = [max((ms for a, b, ms in gaps if b >= start and a <= end), default=0.0) for start, end in windows]
    outside = max(ms for a, b, ms in gaps if b < windows[-1][0] and not any(b >= s and a <= e for s, e in windows))
    return Pauses(inside, outside, rebalances)


def _edit(spec: Path, first: str, lock_timeout_ms: int) -> None:
    """Another option of the sink, as an editor saves it."""
    new = spec.with_suffix(".new")
    new.write_text(first.replace("{type: postgres, ", f"{{type: postgres, lock_timeout_ms: {lock_timeout_ms}, "))
    new.replace(spec)


@contextmanager
def _flowing(at: Bed, subject: Subject) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_send(at, subject, over)))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def _send(at: Bed, subject: Subject, over: threading.Event) -> None:
    values = itertools.chain.from_iterable(itertools.zip_longest(*subject.messages.values()))
    async with producer(at.kafka.bootstrap, compression_type="lz4") as client:
        began = time.monotonic()
        for n, value in enumerate(value for value in values if value):
            if over.is_set():
                break
            await asyncio.sleep(max(0.0, began + n / CHAINS_A_SEC - time.monotonic()))
            await client.send(subject.topic, value, partition=n % PARTITIONS)
        await client.flush()


class Idle(NamedTuple):
    """Of a daemon whose pipelines have nothing to do: MiB, and CPU seconds a second."""

    peak_mib: float
    cpu: float


def idle(at: Bed, subject: Subject, count: int) -> Idle:
    """So many pipelines, each with a consumer group, a connection and a ledger of its own."""
    topic = f"idle_{count}"
    asyncio.run(create_topic(at.kafka.direct, topic, 1))
    specs = [replace(subject, topic=topic).spec(at, f"idle_{_letters(n)}_of_{_letters(count)}") for n in range(count)]
    at.migrate(specs[0])
    run = at.run(*specs)
    run.address()
    while run.log.read_text().count("✓ Assigned partitions: [0]") < count:
        run.check()
        time.sleep(0.1)
    time.sleep(SETTLE_SECS)
    cpu, began = run.usage()[0], time.perf_counter()
    time.sleep(IDLE_SECS)
    used, mib = run.usage()
    secs = time.perf_counter() - began
    run.stop()
    return Idle(mib, (used - cpu) / secs)


def _letters(n: int) -> str:
    """A number as letters: names of pipelines have no digits."""
    return "".join("abcdefghij"[int(digit)] for digit in str(n))


def ready(at: Bed, subject: Subject, name: str, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from the start of the process to READY=1, each time beside `python -c pass`."""
    spec = subject.spec(at, name)
    bare, found = list[float](), list[float]()
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append((time.perf_counter() - began) * 1000)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.settimeout(60)
            address = at.folder / f"notify-{len(at.made)}"
            told.bind(str(address))
            began = time.perf_counter()
            run = at.run(spec, NOTIFY_SOCKET=str(address))
            _until_ready(told, run)
            found.append((time.perf_counter() - began) * 1000)
            run.stop()
    return found, bare


def _until_ready(told: socket.socket, run: Run) -> None:
    while b"READY=1" not in told.recv(4096):
        run.check()
