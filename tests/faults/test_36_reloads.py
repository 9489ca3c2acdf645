"""Fault 36: the spec is edited again and again under load: well, badly, half, and into a plugin that raises."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml

from faults.conftest import Sight
from kit.bed import Scene, scene
from kit.fixtures_bed import MakeBed
from kit.worker import Status, Worker

RATE = 60
SHORT, LONG = 14, 200
RAISING = '''
"""A transform that works for a while, and then does not."""
from typing import Any

from stockifyd.api import Batch, Component, Config, Transform, hookimpl


class RaisingOptions(Config, frozen=True):
    pass


class Raising(Transform[RaisingOptions]):
    """Raises."""

    type = "raising"

    def apply(self, batch: Batch) -> Batch:
        raise KeyError("a bug of somebody's")


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Raising]
'''
Edit = Callable[["Editor"], Awaitable[str]]


class Editor:
    """Who edits: knows the spec as it was at first, and how often a reload was heard of."""

    def __init__(self, on: Scene, workers: list[Worker], chance: random.Random) -> None:
        self.on, self.workers, self.chance = on, workers, chance
        self.first: dict[str, Any] = yaml.safe_load(on.bed.spec.read_text())
        self.numbers = itertools.count(1)
        """For options that shall differ from all before: what is equal is nothing to reload."""

    async def save(self, change: Callable[[dict[str, Any]], None], *, expected: str) -> None:
        """Write the first spec with a change, and wait until every worker says what became of it."""
        spec = yaml.safe_load(yaml.safe_dump(self.first))
        change(spec)
        await self.write(yaml.safe_dump(spec, sort_keys=False), expected=expected)

    async def write(self, text: str, *, expected: str) -> None:
        before = [await self._count(worker, expected) for worker in self.workers]
        new = self.on.bed.spec.with_suffix(".new")
        new.write_text(f"{text}# {next(self.numbers)}\n")
        new.replace(self.on.bed.spec)
        await self.heard(before, expected)

    async def heard(self, before: list[int], expected: str) -> None:
        """Until every worker has counted one more."""
        for worker, count in zip(self.workers, before, strict=True):
            await worker.until(_counts(expected, count + 1))

    async def counts(self, expected: str) -> list[int]:
        return [await self._count(worker, expected) for worker in self.workers]

    async def _count(self, worker: Worker, outcome: str) -> int:
        status = await worker.until(lambda status: True)
        return int(status["reloads"].get(outcome, 0))


def _counts(outcome: str, least: int) -> Callable[[Status], bool]:
    return lambda status: status["reloads"].get(outcome, 0) >= least


async def sink(editor: Editor) -> str:
    """Another option of the sink: a new connection, a new claim."""
    wait = 5_000 + next(editor.numbers)
    await editor.save(lambda spec: spec["sinks"][0].update(lock_timeout_ms=wait), expected="applied")
    return "sink"


async def transform(editor: Editor) -> str:
    """A transform more before the others, and one less."""
    await editor.save(lambda spec: spec["transforms"].insert(0, {"type": "decode", "schema": "chain"}), expected="applied")
    await editor.save(lambda spec: None, expected="applied")
    return "transform"


async def delivery(editor: Editor) -> str:
    """Other limits."""
    rows = 10_000 + next(editor.numbers)
    await editor.save(lambda spec: spec["delivery"].update(batch_max_rows=rows), expected="applied")
    return "delivery"


async def unknown_key(editor: Editor) -> str:
    """A typing error."""
    await editor.save(lambda spec: spec["sinks"][0].update(tabels={}), expected="refused")
    return "unknown key"


async def missing_table(editor: Editor) -> str:
    """What only the catalogue can tell."""
    name = f"nowhere_{next(editor.numbers)}"
    await editor.save(lambda spec: spec["sinks"][0]["tables"]["options"].update(into=name), expected="refused")
    return "missing table"


async def half_written(editor: Editor) -> str:
    """Half of a file, for longer than anybody waits; then the other half."""
    text = yaml.safe_dump(editor.first, sort_keys=False).replace("name: storage", f"# {next(editor.numbers)}\nname: storage")
    half = text[: text.index("sinks:") + 7]
    refused = await editor.counts("refused")
    editor.on.bed.spec.write_text(half)
    await editor.heard(refused, "refused")
    with editor.on.bed.spec.open("a") as file:
        for at in range(len(half), len(text), 60):
            file.write(text[at : at + 60])
            file.flush()
            await asyncio.sleep(0.01)
    return "half written"


async def raising_plugin(editor: Editor) -> str:
    """It opens well, and fails at the first message: the spec before is taken back."""
    await editor.save(lambda spec: spec["transforms"].append({"type": "raising"}), expected="rolled_back")
    await sink(editor)
    return "raising plugin"


EDITS: list[Edit] = [sink, transform, delivery, unknown_key, missing_table, half_written, raising_plugin]


async def test_reloads_under_load(make_bed: MakeBed, sight: Sight, chance: random.Random, fault_secs: float) -> None:
    """The last good spec runs on, nothing is lost or doubled, and the group is joined once."""
    count = LONG if fault_secs > 20 else SHORT
    async with scene(make_bed(partitions=8)) as on:
        plugin = Path(on.bed.folder, "raising.py")
        plugin.write_text(RAISING)
        workers = [on.bed.worker(n, 2, plugins=(plugin,)) for n in (1, 2)]
        async with on.feed.flowing(RATE):
            for worker in workers:
                await worker.until_owning(4)
            joined = [worker.log.count("The group rebalances") for worker in workers]
            editor, made = Editor(on, workers, chance), dict[str, int]()
            began = time.monotonic()
            for n in range(count):
                edit = EDITS[n % len(EDITS)] if n < len(EDITS) else chance.choice(EDITS)
                kind = await edit(editor)
                made[kind] = made.get(kind, 0) + 1
            secs = time.monotonic() - began
        await on.judge()
        assert joined == [worker.log.count("The group rebalances") for worker in workers]
        assert all("is started again" not in worker.log for worker in workers)
        edits = " ".join(f"{kind}:{times}" for kind, times in sorted(made.items()))
        sight.note(edits=edits, edits_a_minute=round(60 * count / secs), messages=on.feed.sent, snapshots=on.reader.snapshots)
