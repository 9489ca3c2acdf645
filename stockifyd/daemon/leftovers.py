"""Tasks that a pipeline's components have started and left behind: found when it ends, named and ended."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar, Token
from typing import Any, Self
from weakref import WeakSet

_owner: ContextVar[Leftovers | None] = ContextVar("pipeline", default=None)
END_SECS = 2.0


class Leftovers:
    """Inside `with`, every task that is made is this pipeline's, and so are those that they make."""

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._token: Token[Leftovers | None] | None = None

    def __enter__(self) -> Self:
        self._token = _owner.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _owner.reset(self._token)

    async def end(self, log: logging.Logger) -> None:
        """Cancel what still runs, though the pipeline has ended."""
        left = [task for task in self.tasks if not task.done() and task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        if left:
            log.warning("components left %d tasks running, which are ended: %s", len(left), ", ".join(map(named, left[:5])))
            await asyncio.wait(left, timeout=END_SECS)


def remember_owners(loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop tell each task's pipeline. Once, before the first pipeline starts."""

    def make(loop: asyncio.AbstractEventLoop, work: Any, **how: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **how)
        if (owner := _owner.get()) is not None:
            owner.tasks.add(task)
        return task

    loop.set_task_factory(make)


def named(task: asyncio.Task[Any]) -> str:
    """What a task runs, and where it was written."""
    coroutine = task.get_coro()
    code = getattr(coroutine, "cr_code", None)
    name = getattr(coroutine, "__qualname__", task.get_name())
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name
