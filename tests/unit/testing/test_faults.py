"""The fault kit: where it kills, what it finds, and that real processes die."""

import asyncio
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Partition, Row
from stockifyd.testing import LedgerContract, MemoryLedger, MemorySink, MemoryStore, SinkContract, faults, make, make_batch
from unit.testing.faulty import files


async def waits(times: int, told: list[str]) -> str:
    try:
        for n in range(times):
            await asyncio.sleep(0)
            told.append(f"{n}")
    except asyncio.CancelledError:
        told.append("cancelled")
        raise
    return "done"


@pytest.mark.parametrize("point", range(3))
async def test_cancelled_at_each_wait(point: int) -> None:
    """The n-th wait is where work ends, not one earlier or later."""
    told = list[str]()
    assert await faults.cancelled_at(point, waits(3, told))
    assert told == [*map(str, range(point)), "cancelled"]


def test_what_another_process_can_import() -> None:
    """A class at the top of a module can be found by another process; one inside a function, or made by `type`, cannot."""

    class Inside(MemorySink):
        """Of a function."""

    made = type("Made", (MemorySink,), {"__module__": __name__})
    assert [True, False, False] == [faults.is_importable(kind) for kind in (MemorySink, Inside, made)]


async def test_cancelled_later_than_its_end() -> None:
    """Work that ended before its point was not cancelled."""
    told = list[str]()
    assert not await faults.cancelled_at(3, waits(3, told))
    assert told == ["0", "1", "2"]


async def test_errors_come_out() -> None:
    """What work raises is the caller's to see."""

    async def breaks() -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        await faults.cancelled_at(5, breaks())


def test_points() -> None:
    """Each of the first steps, then farther and farther apart, and never the same twice."""
    found = list(faults.points(40))
    steps = [b - a for a, b in pairwise(found)]
    assert found[:17] == list(range(17))
    assert (steps == sorted(steps), len(set(found)), found[-1] > 1000) == (True, 40, True)


def test_compare() -> None:
    """What is lost is told, and what is there twice where that counts."""
    rows: list[Row] = [(1,), (2,)]
    assert faults.compare(rows, [(1,), (1,)], exactly=True) == ["lost: (2,)", "2 times: (1,)"]
    assert faults.compare(rows, [(1,), (1,), (2,)], exactly=False) == []


@pytest.mark.parametrize("written_before", [True, False])
async def test_replay_to_a_ledger(written_before: bool) -> None:
    """A ledger that has the batch is not given it again; one that lacks it gets it."""
    store, batch = MemoryStore(), make_batch(3)
    ledger = make(MemoryLedger, store=store.name)
    if written_before:
        await faults.replay(ledger, batch)
    await faults.replay(ledger, batch)
    assert store.rows["options"] == batch.tables["options"].rows


async def test_each_line_and_each_wait_is_a_point() -> None:
    """A write is killed at every line of the sink's own code, in turn, until it comes to its end; nothing is left half."""
    store = MemoryStore()
    life = faults.Life(MemorySink, {"store": store.name})
    returned = await faults.killed_writing(life, [make_batch(1, first=n) for n in range(30)], in_process=True)
    ends = len(list(takewhile(lambda done: not done, returned)))
    assert 8 < ends < 25
    assert returned == [False] * ends + [True] * (30 - ends)
    assert [(n, f"row {n}") for n in range(ends, 30)] == store.rows["options"][-(30 - ends) :]


async def test_real_processes_are_killed(tmp_path: Path) -> None:
    """Each batch has a process of its own, which SIGKILL ends: what was not written yet is not there."""
    life = faults.Life(files.Appends, {"folder": str(tmp_path)})
    batches = [make_batch(1, first=n, partition=Partition("killed", n)) for n in range(12)]
    returned = await faults.killed_writing(life, batches)
    assert (returned[0], returned[-1]) == (False, True)
    stored = {row[0] for row in life.make().rows()}  # type: ignore[attr-defined]
    assert {n for n, done in enumerate(returned) if done} <= stored
    assert 0 not in stored


@pytest.mark.parametrize("kind", [files.DiesAlone, files.Raises])
async def test_a_component_that_fails_elsewhere(kind: type[Any], tmp_path: Path) -> None:
    """A bug in the other process is told with its traceback; a process that ends by itself did not return."""
    life = faults.Life(kind, {"folder": str(tmp_path)})
    if kind is files.DiesAlone:
        assert await faults.killed_writing(life, [make_batch(1)]) == [False]
        return
    with pytest.raises(AssertionError, match="RuntimeError: a bug of a test"):
        await faults.killed_writing(life, [make_batch(1)] * 3)


class Hooks:
    """Files of a folder."""

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"folder": str(tmp_path)}

    def stored(self, sink: Any) -> list[Row]:
        rows: list[Row] = sink.rows() if isinstance(sink, files.Appends) else sink.lines("rows")
        return rows

    def dead_letters(self, sink: Any) -> list[Any]:
        return list(sink.lines("letters"))


@pytest.mark.parametrize(("kind", "sound"), [(files.Appends, True), (files.KeepsInABuffer, False), (files.MarksFirst, False)])
def test_only_a_real_death_shows_it(kind: type[Any], sound: bool, tmp_path: Path) -> None:
    """A buffer that dies with its process, and a mark that outlives it, are found by the fact of killed writes."""

    class Contract(Hooks, SinkContract[Any]):
        sink = kind

    if sound:
        Contract().test_killed_while_writing(tmp_path)
        return
    with pytest.raises(AssertionError):
        Contract().test_killed_while_writing(tmp_path)


def test_a_ledger_in_two_steps(tmp_path: Path) -> None:
    """Rows and offset that are two steps are found apart, by the death between them."""

    class Contract(Hooks, LedgerContract[files.TwoSteps]):
        sink = files.TwoSteps

    with pytest.raises(AssertionError, match="of rows, dead letter, offset"):
        Contract().test_killed_all_or_nothing(tmp_path)
