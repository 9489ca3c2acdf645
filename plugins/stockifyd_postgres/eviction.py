"""A zombie of our own that holds locks: seen from a second connection while the first one waits, and ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from stockifyd.api import StockifydError
from stockifyd_postgres.connection import Session

AFTER_SECS = 1.0
"""A live owner's transaction is over by then; a stuck one ignores every timeout (COPY that waits for its client)."""
# the same role and the same name: this consumer and sink, in whatever process
EVICT = """SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a
WHERE a.pid = ANY(pg_blocking_pids($1)) AND a.usename = current_user
AND a.application_name = current_setting('application_name')"""


@asynccontextmanager
async def evicting(session: Session, pid: int) -> AsyncIterator[None]:
    """While this lasts, whoever of our own blocks the backend `pid` for over a second is terminated."""
    watch = asyncio.create_task(_watch(session, pid)) if pid else None
    try:
        yield
    finally:
        if watch is not None:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch


async def _watch(session: Session, pid: int) -> None:
    await asyncio.sleep(AFTER_SECS)
    twin = session.twin()
    try:
        while True:
            await _evict(twin, pid)
            await asyncio.sleep(AFTER_SECS)
    finally:
        twin.terminate()


async def _evict(twin: Session, pid: int) -> None:
    try:
        async with twin.transaction() as transaction:
            if ended := await transaction.value(EVICT, pid):  # said at once: who waited goes on, and then ends this watch
                twin.log.warning("ended a stuck transaction of an earlier owner", extra={"backends": ended})
            await transaction.commit()
    except StockifydError as error:
        twin.log.debug("could not look for what blocks us", extra={"reason": error.reason})
