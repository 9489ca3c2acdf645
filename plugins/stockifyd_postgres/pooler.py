"""What stands between us and PostgreSQL: nothing, or PgBouncer, and how it pools."""

from __future__ import annotations

import asyncio
from typing import Literal

from stockifyd.api import Unavailable
from stockifyd_postgres.connection import Session

Pooling = Literal["none", "session", "transaction"]
ROUNDS = 3
PATIENCE_SECS = 3.0


async def recognise(session: Session) -> Pooling:
    """How connections are pooled. Statement pooling refuses BEGIN and comes out as Drift, with its cure.

    PgBouncer invents the backend's id that a client is told. Between transactions it gives the server away only if it
    pools by transaction: then two clients are seen on one server, or one client on two.
    """
    if await _backend(session) == session.pid:
        return "none"
    other = session.twin()
    try:
        async with asyncio.timeout(PATIENCE_SECS):
            for _ in range(ROUNDS):
                if await _shared(session, other):
                    return "transaction"
    except TimeoutError:
        session.log.debug("the pool has no second server for us: it pools by session")
    finally:
        other.terminate()
    return "session"


async def greeting(session: Session, pooling: Pooling) -> str:
    """The line an operator looks for. A standby takes no rows: Unavailable, until it is promoted or the address corrected."""
    async with session.transaction() as transaction:
        if await transaction.value("SELECT pg_is_in_recovery()"):
            raise Unavailable(f"{session.address} is a standby, it takes no rows", hint="name the primary, see `database`")
    if pooling == "none":
        return f"✓ Database connected: primary at {session.address}"
    return f"✓ Database connected: primary through {session.address} ({pooling} pooling)"


async def _shared(session: Session, other: Session) -> bool:
    first = await _backend(session)
    if await _backend(other) == first:
        return True
    async with other.transaction() as held:
        await held.value("SELECT 1")
        return await _backend(session) != first


async def _backend(session: Session) -> int:
    async with session.transaction() as transaction:
        pid: int = await transaction.value("SELECT pg_backend_pid()")
        return pid
