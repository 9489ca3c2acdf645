"""Waiting for what must become true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], T], *, within_secs: float = 30, every_secs: float = 0.05) -> T:
    """The first true answer; AssertionError with the last one if none comes."""
    deadline = time.monotonic() + within_secs
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {found!r} after {within_secs} s")
        await asyncio.sleep(every_secs)
    return found
