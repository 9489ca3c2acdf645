"""Reading the source `http` in tests: committed as it is read, until it is enough."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from kit.vendor import Asked, Reply, Vendor
from stockifyd.api import Message
from stockifyd.testing import MemoryClaims, make
from stockifyd_http import Http

PATIENCE_SECS = 60
Enough = Callable[[list[Message], MemoryClaims], bool]


def source(vendor: Vendor, **options: Any) -> Http:
    """Symbol A, ten times a second, quick to try again."""
    quick = {
        "interval_secs": 0.1,
        "retry_first_ms": 1,
        "breaker_secs": 0.3,
        "symbols": {"A": {}},
        "url": f"{vendor.url}/{{symbol}}",
    }
    return make(Http, **(quick | options))


@asynccontextmanager
async def opened(found: Http) -> AsyncIterator[Http]:
    await found.open()
    try:
        yield found
    finally:
        await found.close()


async def read(found: Http, enough: Enough, claims: MemoryClaims | None = None) -> tuple[list[Message], MemoryClaims]:
    """Read, and commit what was read, until it is enough."""
    claims, messages = claims or MemoryClaims(), list[Message]()
    async with asyncio.timeout(PATIENCE_SECS), opened(found):
        reading = found.read(claims)
        async with aclosing(reading) as parts:  # type: ignore[type-var]
            async for part in parts:
                messages += part
                await found.commit({message.position.partition: message.position.offset + 1 for message in part})
                if enough(messages, claims):
                    break
    return messages, claims


def count(least: int) -> Enough:
    return lambda messages, _: len(messages) >= least


def gap(messages: list[Message], claims: MemoryClaims) -> bool:
    """A gap, and a message after it."""
    return bool(claims.gaps) and bool(messages) and messages[-1].position.offset >= claims.gaps[-1].span.next


def first(*replies: Reply) -> Callable[[Asked], Reply]:
    """These, one after another, then what is right."""
    numbers = itertools.count()

    def behave(_: Asked) -> Reply:
        number = next(numbers)
        return replies[number] if number < len(replies) else Reply(b'{"n":%d}' % number)

    return behave
