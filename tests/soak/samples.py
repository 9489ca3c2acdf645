"""What each worker needs, second by second: memory, file descriptors, tasks, lag."""

from __future__ import annotations

import asyncio
import csv
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import NamedTuple

import aiohttp

from kit.beside import beside
from kit.worker import ADDRESS, Worker

EVERY_SECS = 1.0
ANSWER_SECS = 1.0
TASKS = re.compile(r"^stockifyd_tasks (\S+)", re.MULTILINE)
RESIDENT = re.compile(r"VmRSS:\s+(\d+) kB")


class Sample(NamedTuple):
    """One worker at one moment. What it alone can tell is None where it did not answer."""

    secs: float
    """Since the soak began."""
    worker: str
    pid: int
    memory_mib: float
    descriptors: int
    tasks: int | None = None
    lag: int | None = None
    state: str = ""
    reason: str = ""


class Samples:
    """Looks at workers for as long as it is open."""

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        self._workers = workers
        self._began = time.monotonic()
        self.taken: list[Sample] = []

    @property
    def now(self) -> float:
        """Seconds since the soak began."""
        return time.monotonic() - self._began

    def taking(self) -> AbstractAsyncContextManager[None]:
        """For as long as the block lasts."""
        return beside(self._take())

    def of(self, worker: str, since: float = 0.0, until: float = float("inf")) -> list[Sample]:
        """A worker's samples of a time."""
        return [sample for sample in self.taken if sample.worker == worker and since <= sample.secs <= until]

    def write(self, path: Path) -> None:
        """All of them, as CSV."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(Sample._fields)
            writer.writerows(self.taken)

    async def _take(self) -> None:
        # no connection is kept: one that is there at one time and not at another would be counted
        connector = aiohttp.TCPConnector(force_close=True)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while True:
                began = self.now
                found = await asyncio.gather(*(self._look(session, name) for name in self._workers))
                self.taken += filter(None, found)
                await asyncio.sleep(max(0.05, began + EVERY_SECS - self.now))

    async def _look(self, session: aiohttp.ClientSession, name: str) -> Sample | None:
        worker, secs = self._workers[name], self.now
        if not worker.alive:
            return None
        try:
            seen = Sample(secs, name, worker.pid, memory_mib(worker.pid), len(list(Path(f"/proc/{worker.pid}/fd").iterdir())))
        except (OSError, IndexError):  # it has just ended
            return None
        address = ADDRESS.search(worker.last_log)
        if address is not None:
            with suppress(aiohttp.ClientError, TimeoutError, LookupError, ValueError):
                async with session.get(f"{address[1]}metrics") as answer:
                    tasks = int(float(TASKS.findall(await answer.text())[0]))
                async with session.get(f"{address[1]}status") as answer:
                    [status] = await answer.json()
                return seen._replace(tasks=tasks, lag=status["lag"], state=status["state"], reason=status["reason"])
        return seen


def memory_mib(pid: int) -> float:
    """Resident memory."""
    return int(RESIDENT.findall(Path(f"/proc/{pid}/status").read_text())[0]) / 1024


def halts(samples: Iterable[Sample]) -> list[str]:
    """Whether a worker ever waited for an operator, or gave up, and why: once for each reason."""
    told = {f"{s.worker} {s.state}: {s.reason}": s for s in samples if s.state in ("halted", "failed")}
    return [f"after {sample.secs:.0f} s {text}" for text, sample in told.items()]
