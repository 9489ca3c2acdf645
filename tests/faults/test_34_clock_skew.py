"""Fault 34: the worker's clock is a day off, or jumps back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from faults.conftest import Sight, long_form
from kit.bed import Bed, scene
from kit.fixtures_bed import MakeBed
from kit.worker import Worker

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not found; HINT: apt-get install faketime")
CASES = {"a day behind": ("-1d", "-1d"), "a day ahead": ("+1d", "+1d"), "jumps back": ("+2h", "-2h")}
SHORT = ("jumps back", True)
COMBINED = [
    pytest.param(case, keyed, marks=[] if (case, keyed) == SHORT else long_form, id=f"{case}, {'by day' if keyed else 'plain'}")
    for case in CASES
    for keyed in (False, True)
]


@pytest.mark.parametrize(("case", "keyed"), COMBINED)
async def test_wrong_clock_changes_nothing(make_bed: MakeBed, sight: Sight, case: str, *, keyed: bool) -> None:
    """What is stored, and once, does not depend on the worker's clock; nor does the day a row belongs to."""
    before, after = CASES[case]
    async with scene(make_bed(keyed=keyed, partitions=4)) as on:
        clock = on.bed.folder / "clock"
        clock.write_text(before)
        worker = _skewed(on.bed, clock)
        async with on.feed.flowing(60):
            await worker.until(lambda status: status["messages_delivered"] > 60)
            assert "libfaketime" in Path(f"/proc/{worker.pid}/maps").read_text()
            clock.write_text(after)
            delivered = (await worker.until_state("running"))["messages_delivered"]
            await worker.until(lambda status: status["messages_delivered"] > delivered + 60)
            right = on.bed.worker(2, 2)  # one with the right clock, beside it and after it
            await right.until_owning(2)
            await asyncio.sleep(1)
            assert await worker.stop() == 0
        await on.judge()
        assert {} == (await on.bed.books.everything()).letters
        said = worker.log.splitlines()
        sight.note(its_clock=f"{said[0][:8]} to {said[-1][:8]}", messages=on.feed.sent)


def _skewed(bed: Bed, clock: Path) -> Worker:
    """A worker whose clock of the day is off by what the file says, read at each look at the clock."""
    faked = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    worker = Worker(bed.spec, bed.folder / "skewed.log", settings={**bed.settings(), **faked}, instance=(1, 2))
    bed.workers.append(worker)
    return worker.start()
