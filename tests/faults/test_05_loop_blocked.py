"""Fault 5: a plugin that blocks the event loop for twice the session, so that the group gives up its member."""

from __future__ import annotations

import asyncio
import re
import urllib.request

import yaml

from faults.conftest import Sight
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.rogues import blocking_plugin
from kit.worker import ADDRESS, Worker

SESSION_SECS = 6
BLOCKED = re.compile(r"the event loop is blocked for over 2 s by '(\w+)' of pipeline '(\w+)'")


async def test_blocked_worker_is_evicted_and_named(make_bed: MakeBed, sight: Sight) -> None:
    """Its partitions go to the other, it names the component and shows the stall, and has its share again afterwards."""
    async with scene(make_bed(partitions=8)) as on:
        order = on.bed.folder / "order"
        plugin, half = blocking_plugin(on.bed.folder), on.bed.partitions // 2
        spec = yaml.safe_load(on.bed.spec.read_text())
        spec["transforms"].append({"type": "blocking", "order": str(order)})
        on.bed.spec.write_text(yaml.safe_dump(spec, sort_keys=False))
        sleeper, heir = (on.bed.worker(n, 2, plugins=(plugin,)) for n in (1, 2))
        async with on.feed.flowing(24):
            for worker in (sleeper, heir):
                await worker.until_owning(half)
            order.write_text(str(2 * SESSION_SECS))
            blocked, other = await _blocked(sleeper, heir)
            await other.until_owning(on.bed.partitions)
            stall = await _stall(blocked)
            await blocked.until_owning(half)
        await on.judge()
        assert BLOCKED.findall(blocked.log) == [("blocking", "storage")]
        assert stall > SESSION_SECS
        assert not BLOCKED.search(other.log)
        sight.note(stall_secs=round(stall, 1), messages=on.feed.sent, snapshots=on.reader.snapshots)


async def _blocked(*workers: Worker) -> tuple[Worker, Worker]:
    """The one that says that it is blocked, and the other."""
    first = {asyncio.create_task(worker.until_said("the event loop is blocked")): worker for worker in workers}
    done, rest = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    [blocked] = (first[task] for task in done)
    return blocked, next(worker for worker in workers if worker is not blocked)


async def _stall(worker: Worker) -> float:
    """The longest stall that its metrics ever tell of, once it answers again."""
    found, deadline = 0.0, asyncio.get_running_loop().time() + 60
    while not found and asyncio.get_running_loop().time() < deadline:
        found = max(found, await asyncio.to_thread(_loop_lag, worker))
        found = found if found > 1 else 0.0
    return found


def _loop_lag(worker: Worker) -> float:
    address = ADDRESS.search(worker.log)
    assert address
    with urllib.request.urlopen(f"{address[1]}metrics", timeout=60) as answer:
        [value] = re.findall(r"^stockifyd_loop_lag_seconds (\S+)", answer.read().decode(), re.MULTILINE)
    return float(value)
