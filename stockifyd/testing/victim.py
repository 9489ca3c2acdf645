"""`python -m stockifyd.testing.victim`: a process that makes a component, and has children who die at a point of its work."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import pickle
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from stockifyd.api import StockifydError
from stockifyd.testing.lives import Life, apply, read, write

TOLD, FAILED = 3, 4


def main() -> None:
    """A job comes in, pickled; what came of it goes out."""
    job = pickle.load(sys.stdin.buffer)  # noqa: S301  # our parent wrote it
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # what a component prints is no answer
    _import(job["module"], job["file"])
    answer = _work(job["what"], *pickle.loads(job["rest"]))  # noqa: S301
    answers.write(pickle.dumps(answer))
    answers.flush()


def _import(module: str, file: str) -> None:
    """The component's module, from where the parent has it: tests often lie where no import finds them."""
    try:
        importlib.import_module(module)
    except ImportError:
        spec = importlib.util.spec_from_file_location(module, file)
        if spec is None or spec.loader is None:
            raise
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])


def _work(what: str, life: Life, task: Any) -> Any:
    if what == "apply":
        return asyncio.run(apply(life, task))
    if what == "write":
        return [_returned(partial(write, life, batch, at, _die)) for at, batch in task]
    return [_returned(partial(read, life, count, at, _die)) for at, count in task]


def _returned(live: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Whether a child came to the end of its work before it was killed."""
    child = os.fork()
    if not child:
        _end(live)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == FAILED:
        raise RuntimeError("a component failed in a process of its own: see above")
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


def _end(live: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A life; whatever ends it, nothing is closed or flushed."""
    try:
        asyncio.run(_within(live()))
    except StockifydError:
        os._exit(TOLD)
    except BaseException:  # noqa: BLE001  # the parent tells it
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(FAILED)


async def _within(work: Coroutine[Any, Any, None]) -> None:
    await work
    os._exit(0)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
