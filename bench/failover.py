"""How long partitions stand still when their owner is killed, and when it is asked to go: figure g."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from bed import Bed, Run
from loads import PARTITIONS, Subject, empty

from kit.kafka_topics import producer

CHAINS_A_SEC = 24
WHERE = "SELECT partition, next_offset FROM stockifyd.offsets WHERE consumer = $1"
FLOWING = """SELECT partition, next_offset, updated_at FROM stockifyd.offsets
WHERE consumer = $1 AND updated_at > $2 AND owner LIKE '%:' || $3"""


def measure(at: Bed, subject: Subject, name: str, *, rounds: int, kill: bool) -> list[float]:
    """Seconds until every partition of the one that went has stored something under the other; for each round."""
    empty(at, subject)
    spec = subject.spec(at, name)
    found = []
    with _flowing(at, subject):
        runs = [at.run(spec, INSTANCE_ID=str(n), TOTAL_INSTANCES="2") for n in (1, 2)]
        for _ in range(rounds):
            _until_shared(runs)
            victim, heir = runs
            orphans = {one["partition"] for one in victim.status()["partitions"]}
            went = datetime.now(UTC)
            if kill:
                victim.kill()
            else:
                victim.process.terminate()
            found.append(_back(at, name, orphans, went, pid=heir.process.pid))
            victim.process.wait(60)
            runs = [heir, at.run(spec, INSTANCE_ID="1", TOTAL_INSTANCES="2")]
        for run in runs:
            run.kill()
    return found


def _until_shared(runs: list[Run]) -> None:
    while any(len(run.status()["partitions"]) != PARTITIONS // 2 for run in runs):
        time.sleep(0.1)
    time.sleep(1)


def _back(at: Bed, name: str, orphans: set[int], went: datetime, *, pid: int) -> float:
    """The ledger's own times decide: what moved last before everything had moved since."""
    before = {row[0]: row[1] for row in at.ask(WHERE, name)}
    first: dict[int, datetime] = {}
    while not orphans <= first.keys():
        for partition, offset, moved in at.ask(FLOWING, name, went, str(pid)):
            if offset > before[partition]:
                first.setdefault(partition, moved)
        time.sleep(0.02)
    return max((first[partition] - went).total_seconds() for partition in orphans)


@contextmanager
def _flowing(at: Bed, subject: Subject) -> Iterator[None]:
    """A steady feed into every partition, from a thread."""
    over = threading.Event()
    values = list(itertools.chain.from_iterable(subject.messages.values()))

    async def feed() -> None:
        async with producer(at.kafka.bootstrap, compression_type="lz4") as client:
            for n, value in enumerate(values):  # never one twice: a key that is there already takes a slower way
                if over.is_set():
                    return
                await client.send(subject.topic, value, partition=n % PARTITIONS)
                await asyncio.sleep(1 / CHAINS_A_SEC)

    thread = threading.Thread(target=lambda: asyncio.run(feed()))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
