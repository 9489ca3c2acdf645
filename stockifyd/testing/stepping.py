"""Counting where work stands: each line of some files, and each place where it waits."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Coroutine, Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Steps:
    """Does something at the n-th step, counted from 0."""

    def __init__(self, point: int, then: Callable[[], object]) -> None:
        self.left, self.then = point, then

    def step(self) -> None:
        """One more."""
        self.left -= 1
        if self.left == -1:
            self.then()


async def stepped(work: Coroutine[Any, Any, T], steps: Steps, files: Collection[str] = ()) -> T:
    """Work of which each wait, and each line that is in these files, is a step."""
    with _traced(steps, files):
        return await _Waits(work, steps)


class _Waits(Generic[T]):
    """Passes on what a coroutine waits for, and counts."""

    def __init__(self, work: Coroutine[Any, Any, T], steps: Steps) -> None:
        self.work, self.steps = work, steps

    def __await__(self) -> Generator[Any, Any, T]:
        error: BaseException | None = None
        while True:
            try:
                waits_for = self.work.throw(error) if error else self.work.send(None)
            except StopIteration as done:
                answer: T = done.value
                return answer
            self.steps.step()
            error = None
            try:
                yield waits_for
            except BaseException as raised:  # noqa: BLE001  # whatever it is, it is the coroutine's
                error = raised


@contextmanager
def _traced(steps: Steps, files: Collection[str]) -> Iterator[None]:
    """Each line of these files is a step, in this thread and in those that begin meanwhile."""

    def line(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001
        if event == "line":
            steps.step()
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001
        return line if frame.f_code.co_filename in files else None

    if not files:
        yield
        return
    before, before_threads = sys.gettrace(), threading.gettrace()
    threading.settrace(call)
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(before_threads)
