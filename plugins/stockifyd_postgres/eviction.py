"""Zombies of our own: who blocks us is seen from a second connection while the first one waits; who blocks nobody, in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stockifyd.api import StockifydError
from stockifyd_postgres.connection import GRACE_SECS, Session
from stockifyd_postgres.options import ConnectionOptions

AFTER_SECS = 1.0
"""A live owner's transaction is over by then; a stuck one ignores every timeout (COPY that waits for its client)."""
ANSWER_SECS = 1.0
"""Who waited goes on as soon as the stuck one is gone, perhaps before we are told that it was us who ended it."""
# the same role and the same name: this consumer and sink, in whatever process
EVICT = """SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a
WHERE a.pid = ANY(pg_blocking_pids($1)) AND a.usename = current_user
AND a.application_name = current_setting('application_name')"""

EVERY_SECS = 30.0
# waits for the rest of a COPY, for longer than any client of ours would: no timeout of the server's ends that
LEFT = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND application_name = current_setting('application_name')
AND state = 'active' AND wait_event = 'ClientRead' AND query_start < clock_timestamp() - $1::float8 * interval '1 second'"""


class LeftBehind:
    """COPYs whose client stands still or is cut off: they would hold vacuum, locks and a pooler's PAUSE up for ever."""

    def __init__(self, options: ConnectionOptions) -> None:
        self._secs = options.statement_timeout_ms / 1000 + 2 * GRACE_SECS
        self._due = 0.0

    async def end(self, session: Session) -> None:
        """Now and then: end those of this consumer and sink."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_SECS
        if ended := await _end(session, LEFT, self._secs):
            session.log.warning("ended a COPY that an earlier owner left behind", extra={"backends": ended})


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
    if ended := await _end(twin, EVICT, pid):
        twin.log.warning("ended a stuck transaction of an earlier owner", extra={"backends": ended})


async def _end(session: Session, sql: str, argument: float) -> int:
    """How many it ended; none where it may not, or cannot look."""
    try:
        async with session.transaction() as transaction:
            ended: int = await transaction.value(sql, argument)
            await transaction.commit()
    except StockifydError as error:
        session.log.debug("could not look for stuck transactions of ours", extra={"reason": error.reason})
        return 0
    return ended
