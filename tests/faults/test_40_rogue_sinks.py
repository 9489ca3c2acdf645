"""Fault 40: a sink of somebody's that raises, hangs, lies or clings, beside a pipeline that works well."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from faults.conftest import Sight, long_form
from kit.bed import Bed, scene
from kit.fixtures_bed import MakeBed
from kit.kafka_topics import committed
from kit.rogues import rogue_plugin
from kit.worker import ADDRESS, Status, Worker

TROUBLES = {
    "raises": ("halted", "raised KeyError, again and again"),
    "hangs": ("waiting", "no answer for 10 s"),
    "lies": ("halted", "that it rejects message 1000000 of a batch of"),
    "names": ("halted", "answered str, which is no Receipt"),
    "clings": ("waiting", "no answer for 10 s"),
}
"""What it does, the state that this brings, and what the reason says."""


@pytest.mark.parametrize(
    "does", ["raises", "lies", "hangs", *(pytest.param(one, marks=long_form) for one in ("names", "clings"))]
)
async def test_rogue_is_contained(make_bed: MakeBed, sight: Sight, does: str) -> None:
    """The offset stays, the neighbour works on in the same process, and an edit mends it with nothing lost."""
    state, reason = TROUBLES[does]
    async with scene(make_bed(partitions=4)) as on:
        rogue = Rogue(on.bed)
        rogue.write(does)
        worker = on.bed.worker(plugins=(rogue_plugin(on.bed.folder),), arguments=(str(rogue.spec),))
        async with on.feed.flowing(24):
            found = await rogue.until(worker, lambda status: status["state"] == state)
            assert reason in found["reason"], found["reason"]
            assert "sink 'rogue'" in found["reason"], found["reason"]
            neighbour = await worker.until_state("running")
            await worker.until(lambda status: status["messages_delivered"] > neighbour["messages_delivered"] + 20)
            assert not any((await committed(on.bed.kafka.direct, rogue.group)).values())
            rogue.write("well")
            await rogue.until(worker, lambda status: status["state"] == "running" and status["messages_delivered"] > 0)
        await on.judge()
        await rogue.until(worker, lambda status: status["messages_delivered"] >= on.feed.sent)
        assert rogue.stored == {(p, n) for p, end in on.feed.ends.items() for n in range(end)}
        assert await worker.stop() == 0
        sight.note(said=found["reason"][:80], messages=on.feed.sent, snapshots=on.reader.snapshots)


class Rogue:
    """The pipeline of the sink that misbehaves, on the same topic as the storage pipeline, with a group of its own."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.group = f"{bed.group}-rogue"
        self.spec, self._into = bed.folder / "rogue.yaml", bed.folder / "rogue.txt"

    def write(self, does: str) -> None:
        """The spec, as an editor saves it."""
        source = yaml.safe_load(self._bed.spec.read_text())["source"] | {"group": self.group}
        sink = {"type": "rogue", "does": does, "into": str(self._into)}
        new = self.spec.with_suffix(".new")
        new.write_text(yaml.safe_dump({"version": 1, "name": "rogue", "source": source, "sinks": [sink]}, sort_keys=False))
        new.replace(self.spec)

    @property
    def stored(self) -> set[tuple[int, int]]:
        """Partition and offset of each message in the file."""
        return {(int(p), int(n)) for p, n in (line.split() for line in self._into.read_text().splitlines())}

    async def until(self, worker: Worker, seen: Callable[[Status], bool]) -> Status:
        """The first status of this pipeline that is as wished."""
        deadline, last = time.monotonic() + 60, None
        while time.monotonic() < deadline:
            last = await asyncio.to_thread(_status, worker) or last
            if last and seen(last):
                return last
            await asyncio.sleep(0.1)
        raise AssertionError(f"not so: {last}; the log ends:\n{worker.log[-3000:]}")


def _status(worker: Worker) -> dict[str, Any] | None:
    if not (address := ADDRESS.search(worker.last_log)):
        return None
    with urllib.request.urlopen(f"{address[1]}status", timeout=10) as answer:
        statuses: list[Status] = json.load(answer)
    return next((status for status in statuses if status["name"] == "rogue"), None)
