"""Ending tasks within bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

AGAIN_SECS = 20.0
"""Longer than a component needs to clean up after itself."""


class GaveUpError(Exception):
    """The pipeline cannot go on and nobody can mend it from here: a new process may."""


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended; what it ended with is its owner's to look at.

    Again after a while: `asyncio.wait_for` of Python 3.11 loses a cancellation that comes as it is done.
    """
    while True:
        task.cancel()
        if (await asyncio.wait({task}, timeout=AGAIN_SECS))[0]:
            return


async def bounded(work: Awaitable[Any], secs: float, log: logging.Logger, what: str) -> None:
    """Wait for work for so long and no longer; say what failed or took too long."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=secs)
    if not done:
        log.warning("%s took over %.0f s and was left", what, secs)
        await asyncio.wait({task}, timeout=1) if task.cancel() else None
    elif not task.cancelled() and (error := task.exception()):
        log.warning("%s failed: %s", what, error, exc_info=error)
