"""A consumer is left: out of its group and closed in bounded time, and nothing of it goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer

from stockifyd_kafka.errors import describe
from stockifyd_kafka.leftovers import let_go

STOP_SECS = 5
HEED_SECS = 0.05
"""Half of what aiokafka waits before it tries again."""


async def stop(consumer: AIOKafkaConsumer, log: logging.Logger, *, beside: Collection[asyncio.Future[Any]] = ()) -> None:
    """Leave the group and close, whatever aiokafka does. `beside`: calls of it under way, which it would try again for ever."""
    stopping = asyncio.create_task(consumer.stop())
    try:
        await asyncio.wait({stopping}, timeout=STOP_SECS)
    finally:
        if not stopping.done():
            stopping.cancel()
        # Closed sockets end whatever is still waited for.
        await _close(consumer)
        await _end(consumer, {stopping, *beside})
        _forget(consumer)
    # stop() of a consumer without an assignment may raise CancelledError; nobody cancelled us.
    if stopping.done() and not stopping.cancelled() and (error := stopping.exception()) is not None:
        log.debug("leaving Kafka's group: %s", describe(error))


async def _close(consumer: AIOKafkaConsumer) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECS):
            await consumer._client.close()  # noqa: SLF001


async def _end(consumer: AIOKafkaConsumer, beside: Collection[asyncio.Future[Any]]) -> None:
    """What stop() did not come to, and what is under way beside it."""
    left = {task for task in (*_own(consumer), *beside) if not task.done()}
    if not left:
        return
    # A commit shields a task: cancelled now, nobody would hear that it failed. It waits to try again right after.
    await asyncio.wait(left, timeout=HEED_SECS)
    for task in left:
        task.cancel()
    await asyncio.wait(left, timeout=STOP_SECS)
    for task in left:
        if task.done() and not task.cancelled():
            task.exception()  # heard
    await _close(consumer)  # they may have connected again


def _forget(consumer: Any) -> None:
    """A consumer is full of cycles, and lives until the garbage collector comes: not what it has fetched."""
    if (fetcher := consumer._fetcher) is not None:  # noqa: SLF001
        let_go(consumer, fetcher._records)  # noqa: SLF001
        fetcher._records.clear()  # noqa: SLF001


def _own(consumer: Any) -> list[asyncio.Future[Any]]:
    coordinator, fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
    found = [getattr(coordinator, name, None) for name in names]
    found += [] if fetcher is None else [fetcher._fetch_task, *fetcher._pending_tasks]  # noqa: SLF001
    return [task for task in found if task is not None]
