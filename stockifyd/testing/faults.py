"""The fault kit: kill or cancel a component at a point of its work, bring the batch again, compare.

    life = faults.Life(Csv, {"path": str(tmp_path / "out.csv")})
    returned = await faults.killed_writing(life, batches)

writes each batch in a process of its own, which SIGKILL ends at a point of `write`: a line of the sink's own code, or a place
where it waits. What the far side holds then is what a crash leaves.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Sequence
from functools import reduce
from typing import Any, NoReturn, cast

from stockifyd.api import Batch, Component, Fenced, LedgerSink, Retry, Row, Sink, StockifydError
from stockifyd.testing.lives import Life, read, write
from stockifyd.testing.stepping import Steps, stepped

__all__ = [
    "Killed",
    "Life",
    "applied_elsewhere",
    "cancelled_at",
    "compare",
    "is_importable",
    "killed_reading",
    "killed_writing",
    "points",
    "replay",
]

ONE_BY_ONE, GROWTH = 16, 1.35


class Killed(BaseException):  # nothing that catches errors may catch the end of a process
    """Stands for the end of the process, where the far side is this process's own memory."""


def points(most: int) -> Iterator[int]:
    """Where to kill: at each of the first steps, then farther and farther apart."""
    at = 0
    for _ in range(most):
        yield at
        at = at + 1 if at < ONE_BY_ONE else int(at * GROWTH)


def is_importable(kind: type[Component[Any]]) -> bool:
    """Whether another process can find a class: not one inside a function, or made by `type`."""
    try:
        found = reduce(getattr, kind.__qualname__.split("."), cast("Any", sys.modules[kind.__module__]))
    except (AttributeError, KeyError):
        return False
    return found is kind and kind.__module__ != "__main__"


async def cancelled_at(point: int, work: Coroutine[Any, Any, Any]) -> bool:
    """Cancel work where it waits for the n-th time (from 0), and wait for its end; False if it ended before that.

    Errors of the work come out.
    """
    steps = Steps(point, lambda: task.cancel())  # noqa: PLW0108  # the task is made below
    task = asyncio.ensure_future(stepped(work, steps))
    try:
        await asyncio.wait([task])
    finally:
        task.cancel()
    if task.cancelled():
        return True
    task.result()
    return False


async def killed_writing(life: Life, batches: Sequence[Batch], *, in_process: bool = False) -> list[bool]:
    """Write each batch in a process of its own, the n-th killed at the n-th of `points`; whether each write had returned.

    A process whose write returns before its point ends there, without `close`. A ledger claims what its batch advances: give
    each batch a partition of its own. `in_process`: the far side is this process's memory, and Killed is raised instead.
    """
    lives = list(zip(points(len(batches)), batches, strict=True))
    if in_process:
        return [await _survives(write(life, batch, at, _raise)) for at, batch in lives]
    answer: list[bool] = await _elsewhere("write", life, lives)
    return answer


async def killed_reading(life: Life, count: int, at: Iterable[int], *, in_process: bool = False) -> list[bool]:
    """Read so many messages from the start in processes killed at these steps; whether each had read them all."""
    if in_process:
        return [await _survives(read(life, count, point, _raise)) for point in at]
    answer: list[bool] = await _elsewhere("read", life, [(point, count) for point in at])
    return answer


async def applied_elsewhere(life: Life, batches: Sequence[Batch]) -> list[Batch]:
    """What a transform makes of batches in another process: another hash seed, another time zone, nothing remembered."""
    answer: list[Batch] = await _elsewhere("apply", life, list(batches))
    return answer


async def replay(sink: Sink[Any], batch: Batch) -> None:
    """Bring a batch again, as a pipeline does after a crash: a ledger is asked first, and given only what it lacks."""
    if not isinstance(sink, LedgerSink):
        await sink.write(batch)
        return
    for last in (False, False, True):
        found = await sink.claim({partition: span.base for partition, span in batch.advance.items()})
        if all(found[partition] >= span.next for partition, span in batch.advance.items()):
            return
        try:
            await sink.write(batch)
        except (Fenced, Retry):  # what was under way when the process died has come to its end after all
            if last:
                raise
        else:
            return


def compare(expected: Sequence[Row], stored: Sequence[Row], *, exactly: bool) -> list[str]:
    """What is wrong with the rows stored of a batch that came more than once; `exactly`: none may be there twice."""
    lost = [f"lost: {row!r}" for row in expected if row not in stored]
    twice = [f"{stored.count(row)} times: {row!r}" for row in expected if stored.count(row) > 1] if exactly else []
    return lost + twice


async def _survives(life: Awaitable[None]) -> bool:
    try:
        await life
    except (Killed, StockifydError):
        return False
    return True


def _raise() -> NoReturn:
    raise Killed


async def _elsewhere(what: str, life: Life, task: Any) -> Any:
    """Have a process do it that has what this one can import, and nothing else of it."""
    module = sys.modules[life.kind.__module__]
    named = {"module": module.__name__, "file": getattr(module, "__file__", "") or ""}
    job = pickle.dumps({**named, "what": what, "rest": pickle.dumps((life, task))})
    told = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "3", "TZ": "Pacific/Apia"}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stockifyd.testing.victim", stdin=-1, stdout=-1, stderr=-1, env={**os.environ, **told}
    )
    try:
        answer, complaints = await child.communicate(job)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise AssertionError(f"{life.kind.__name__} in a process of its own:\n{complaints.decode(errors='replace')}")
    return pickle.loads(answer)  # noqa: S301  # our own child wrote it
