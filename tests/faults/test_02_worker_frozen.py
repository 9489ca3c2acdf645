"""Fault 2: a worker that stands still past its session, and goes on when another has its partitions."""

from __future__ import annotations

import time

import pytest

from faults.conftest import Sight, long_form
from kit.bed import scene
from kit.eventually import eventually
from kit.fixtures_bed import MakeBed


@pytest.mark.parametrize("keyed", [False, pytest.param(True, marks=long_form)], ids=["plain", "keyed"])
async def test_frozen_worker_is_fenced(make_bed: MakeBed, sight: Sight, *, keyed: bool) -> None:
    """What a sleeper had in hand when its partitions went elsewhere is not written twice when it wakes."""
    async with scene(make_bed(keyed=keyed), big_every=2) as on:
        sleeper, heir = on.bed.worker(1, 2), on.bed.worker(2, 2)
        async with on.feed.flowing(24):
            for worker in (sleeper, heir):
                await worker.until_owning(on.bed.partitions // 2)
            sleeper.freeze()
            began = time.monotonic()
            await heir.until_owning(on.bed.partitions, within_secs=60)
            sight.note(heir_owns_all_after_secs=round(time.monotonic() - began, 1))
            moved = sum((await on.bed.books.next()).values())
            await on.bed.worker(3, 3).until_owning(on.bed.partitions // 2)  # a third one: the sleeper's places are taken
            sleeper.thaw()
            await eventually(lambda: _noticed(sleeper.log), within_secs=60)
            await sleeper.until_owning(on.bed.partitions // 3, within_secs=60)
            assert sum((await on.bed.books.next()).values()) > moved
        await on.judge()
        sight.note(noticed=_noticed(sleeper.log), messages=on.feed.sent, snapshots=on.reader.snapshots)


def _noticed(log: str) -> str:
    """How the sleeper learnt that it had slept."""
    signs = {"fenced": "belongs to", "doubted": "longer than the session", "rewound": "or has another owner"}
    return ", ".join(name for name, text in signs.items() if text in log)
