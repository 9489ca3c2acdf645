"""Daemons in this process, over the fakes and over real files; waits of milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockifyd.cli.daemons import Daemon as Asked
from stockifyd.daemon.daemon import Daemon, Doors
from stockifyd.daemon.specs import LastGood, Specs
from stockifyd.daemon.supervised import Patience, Supervised
from stockifyd.daemon.supervisor import Supervisor
from stockifyd.registry import Registry
from stockifyd.runtime.blueprint import blueprint_of
from stockifyd.runtime.pipeline import Pipeline
from stockifyd.spec import Spec, loads
from stockifyd.spec.model import Instance
from stockifyd.testing import MemoryLedger, MemoryRows, MemorySink, MemorySource, MemoryStore, MemoryTopic
from unit.runtime.pipelines import FAST

REGISTRY = Registry.of(MemorySource, MemoryRows, MemorySink, MemoryLedger)
TEXT = """version: 1
name: {name}
source: {{type: memory, topic: {topic}}}
transforms: [{{type: memory_rows, rows_each: {rows_each}}}]
sinks: [{{type: memory_ledger, store: {store}}}]
delivery: {{confirm_secs: {confirm_secs}, drain_secs: 1.0}}
"""
IMPATIENT = Patience(failures=2, first_secs=0.001, cap_secs=0.002)


def text(topic: MemoryTopic, store: MemoryStore, *, name: str = "contract", rows_each: int = 1, confirm_secs: float = 0.2) -> str:
    """A spec: memory source, rows, a ledger."""
    return TEXT.format(name=name, topic=topic.name, store=store.name, rows_each=rows_each, confirm_secs=confirm_secs)


def spec_of(content: str, path: str = "") -> Spec:
    loaded = loads(content.encode(), REGISTRY, file=path)
    assert loaded.spec is not None, loaded.findings
    return loaded.spec


@dataclass
class Running:
    """A daemon that runs, with its socket."""

    daemon: Daemon
    supervisor: Supervisor
    socket: Path
    task: asyncio.Task[int]
    good: LastGood

    async def get(self, path: str) -> Any:
        return await asyncio.to_thread(Asked(self.socket).get, path)

    async def post(self, path: str, body: object = None) -> Any:
        return await asyncio.to_thread(lambda: Asked(self.socket).post(path, body, secs=20))

    async def reload(self, *names: str) -> dict[str, str]:
        """What became of it, by pipeline."""
        return {one["pipeline"]: one["outcome"] for one in await self.post("/reload", {"pipelines": names})}

    def pipeline(self, name: str = "contract") -> Pipeline:
        return self.supervisor.pipelines[name].pipeline

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def daemon(*paths: Path, folder: Path) -> AsyncIterator[Running]:
    """A daemon on these files and folders, stopped at the end; `starts`: how single pipelines are made."""
    specs, good = Specs(paths, REGISTRY), LastGood(folder / "last-good")

    def start(spec: Spec) -> Pipeline:
        return Pipeline(blueprint_of(spec, Instance()), timing=FAST)

    def supervise(spec: Spec) -> Supervised:
        return Supervised(spec, Instance(), confirmed=good.keep, start=start, patience=IMPATIENT)

    supervisor = Supervisor(specs, supervise, specs.read().specs.values())
    one = Daemon(supervisor, specs=specs, doors=Doors(control=folder / "run"))
    task = asyncio.create_task(one.run())
    running = Running(one, supervisor, folder / "run" / "control.sock", task, good)
    try:
        await running.until(lambda: running.socket.exists() or task.done())
        yield running
    finally:
        supervisor.stop()
        async with asyncio.timeout(20):
            await task
