"""A zombie of our own that holds locks: seen from a second connection while the first one waits, and ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stockifyd.api import StockifydError
from stockifyd_postgres.connection import Session

AFTER_SECS = 1.0
"""A live owner's transaction is over by then; a stuck one ignores every timeout (COPY that waits for its client)."""
ANSWER_SECS = 1.0
"""Who waited goes on as soon as the stuck one is gone, perhaps before we are told that it was us who ended it."""
# the same role and the same name: this consumer and sink, in whatever process
EVICT = """SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a
WHERE a.pid = ANY(pg_blocking_pids($1)) AND a.usename = current_user
AND a.application_name = current_setting('application_name')"""


@asynccontextmanager
async def evicting(session: Session, pid: int) -> AsyncIterator[None]:
    """While this lasts, whoever of our own blocks the backend `pid` for over a second is terminated."""
    over = asyncio.Event()
    watch = asyncio.create_task(_watch(session, pid, over)) if pid else None
    try:
        yield
    finally:
        over.set()
        if watch is not None:
            await asyncio.wait({watch}, timeout=ANSWER_SECS)
            watch.cancel()
            await asyncio.wait({watch})


async def _watch(session: Session, pid: int, over: asyncio.Event) -> None:
    twin = session.twin()
    try:
        while not await _is_over(over):
            await _evict(twin, pid)
    finally:
        twin.terminate()


async def _is_over(over: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(AFTER_SECS):
            return await over.wait()
    except TimeoutError:
        return False


async def _evict(twin: Session, pid: int) -> None:
    try:
        async with twin.transaction() as transaction:
            if ended := await transaction.value(EVICT, pid):
                twin.log.warning("ended a stuck transaction of an earlier owner", extra={"backends": ended})
            await transaction.commit()
    except StockifydError as error:
        twin.log.debug("could not look for what blocks us", extra={"reason": error.reason})
