"""Notices that spec files have changed, whatever an editor, a deployment or git does to them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

DEBOUNCE_MS = 500
LOOK_MS = 5_000
"""A look for its own sake: a folder that was replaced as a whole tells nobody."""
GONE_SECS = 1.0

log = logging.getLogger("stockifyd.daemon")


async def watch(folders: Callable[[], list[Path]], changed: Callable[[], Awaitable[object]]) -> None:
    """Call `changed` when something happened in the folders and half a second was quiet, and every few seconds; for ever.

    Names do not matter: an atomic rename, a link that is swapped and a checkout are all something that happened beside the file.
    """
    while True:
        watched = folders()
        if not watched:
            await asyncio.sleep(GONE_SECS)
            await changed()
            continue
        try:
            await _watch(watched, folders, changed)
        except OSError as error:  # the folder went away while it was watched, or inotify has no watches left
            log.debug("cannot watch %s: %s", watched, error)
            await asyncio.sleep(GONE_SECS)


async def _watch(watched: list[Path], folders: Callable[[], list[Path]], changed: Callable[[], Awaitable[object]]) -> None:
    """Until other folders are to be watched."""
    looks = awatch(
        *watched, watch_filter=None, recursive=False, debounce=DEBOUNCE_MS, step=100, rust_timeout=LOOK_MS, yield_on_timeout=True
    )
    async for _ in looks:
        await changed()
        if folders() != watched:
            return
