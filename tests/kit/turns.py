"""How often others have their turn of the event loop while something works: heartbeats are among them, and a COPY."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any


async def turns_beside(work: Awaitable[Any]) -> int:
    """The turns that another task had until the work was done."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    try:
        await work
    finally:
        task.cancel()
    return turns
