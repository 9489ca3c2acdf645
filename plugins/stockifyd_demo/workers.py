"""The workers: `stockifyd run`, each a process that can be killed, and what their status pages say."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockifyd_demo.children import STOCKIFYD, Child, Children, failed
from stockifyd_demo.servers import free_port

TOTAL = 2


@dataclass(slots=True)
class Worker:
    """One of them; `port` stays the same when it is started again."""

    number: int
    port: int
    child: Child

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


class Workers:
    """Starts and kills workers of one pipeline."""

    def __init__(self, children: Children, spec: Path, environment: Mapping[str, str]) -> None:
        self._children, self._spec, self._environment = children, spec, environment
        self._workers = dict[int, Worker]()
        self._killed = set[int]()

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def start(self, number: int) -> Worker:
        """Start one; again, if it was killed."""
        known = self._workers.get(number)
        port = known.port if known else free_port()
        instance = {"INSTANCE_ID": str(number), "TOTAL_INSTANCES": str(TOTAL)}
        command = [*STOCKIFYD, "run", str(self._spec), "--listen", f"127.0.0.1:{port}"]
        child = self._children.start(f"worker {number}", command, environment={**self._environment, **instance})
        self._workers[number] = Worker(number, port, child)
        self._killed.discard(number)
        return self._workers[number]

    def kill(self, number: int) -> Worker:
        """As `kill -9` does."""
        self._killed.add(number)
        self._workers[number].child.kill()
        return self._workers[number]

    def check(self) -> None:
        """StockifydError if one has ended that nobody killed."""
        for worker in self._workers.values():
            if worker.number not in self._killed and not worker.child.is_running:
                raise failed(worker.child)

    async def statuses(self) -> dict[int, dict[str, Any]]:
        """What each status page says of the pipeline; nothing of one that does not answer (yet)."""
        answers = await asyncio.gather(*(asyncio.to_thread(status_at, worker.page) for worker in self._workers.values()))
        return {worker.number: answer for worker, answer in zip(self._workers.values(), answers, strict=True) if answer}


def status_at(page: str) -> dict[str, Any] | None:
    """What a daemon of one pipeline says of it; nothing where it does not answer (yet)."""
    try:
        with urllib.request.urlopen(f"{page}status", timeout=2) as answer:  # noqa: S310  our own, on loopback
            first: dict[str, Any] = json.load(answer)[0]
            return first
    except OSError:  # it is being started, or was killed
        return None
