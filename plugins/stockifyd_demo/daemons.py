"""The daemons of the whole platform: each `stockifyd run` of one pipeline that ships, and what it says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stockifyd_demo.children import STOCKIFYD, Child, Children, ended, failed
from stockifyd_demo.servers import free_port
from stockifyd_demo.workers import status_at

PIPELINES = ("ingestion", "processor", "storage", "analytics", "historical")
"""In the order of the data."""
END_SECS = 60.0


@dataclass(slots=True)
class Daemon:
    """One of them, started or not yet; `port` stays the same when it is started again."""

    name: str
    port: int
    child: Child | None = None
    may_end: bool = False
    """Somebody ended it, or it ends by itself."""
    status: Mapping[str, Any] = field(default_factory=dict)
    """What it last said; of the process that runs now."""

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def is_running(self) -> bool:
        """It is a process, and has said how it is."""
        return self.child is not None and self.child.is_running and bool(self.status)

    @property
    def state(self) -> str:
        """As its status page says it, or as its process shows it."""
        if self.child is None:
            return "not yet"
        code = self.child.process.poll()
        if code is None:
            return str(self.status.get("state", "starting"))
        return "ended" if code == 0 else f"killed, {-code}" if code < 0 else f"exit code {code}"

    def count(self, name: str) -> int:
        """A number of its status; 0 where it says none."""
        return int(self.status.get(name) or 0)


class Daemons:
    """Starts, kills and ends them."""

    def __init__(self, children: Children, folder: Path, environment: Mapping[str, str]) -> None:
        self._children, self._folder, self._environment = children, folder, environment
        self._daemons = {name: Daemon(name, free_port()) for name in PIPELINES}

    def __iter__(self) -> Iterator[Daemon]:
        return iter(self._daemons.values())

    def __getitem__(self, name: str) -> Daemon:
        return self._daemons[name]

    def start(self, name: str, **environment: str) -> Child:
        """Start one; again, if it was killed."""
        daemon = self._daemons[name]
        command = [*STOCKIFYD, "run", str(self._folder / f"{name}.yaml"), "--listen", f"127.0.0.1:{daemon.port}"]
        daemon.child = self._children.start(name, command, environment={**self._environment, **environment})
        daemon.may_end, daemon.status = False, {}
        return daemon.child

    def kill(self, name: str) -> Child:
        """As `kill -9` does."""
        daemon = self._daemons[name]
        assert daemon.child is not None
        daemon.may_end = True
        daemon.child.kill()
        return daemon.child

    async def end(self, name: str) -> None:
        """By SIGTERM: it delivers what it has in hand. StockifydError where its exit code is not 0."""
        daemon = self._daemons[name]
        assert daemon.child is not None
        daemon.may_end = True
        daemon.child.ask_to_end()
        await ended(daemon.child, END_SECS)

    async def look(self) -> None:
        """Ask all that run how they are. StockifydError if one has ended that should not, or does not go on by itself."""
        running = [one for one in self if one.child is not None and one.child.is_running]
        answers = await asyncio.gather(*(asyncio.to_thread(status_at, one.page) for one in running))
        for one, answer in zip(running, answers, strict=True):
            one.status = answer or one.status
        for one in self:
            if one.child is not None and not one.child.is_running and not one.may_end:
                raise failed(one.child)
