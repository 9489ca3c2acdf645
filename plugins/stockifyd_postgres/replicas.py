"""Servers that may be read, in order: the first one that is fit is read, and one that was not is taken back when it stands."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from stockifyd.api import Drift, Retry, StockifydError, Unavailable
from stockifyd_postgres.address import Address, replicas, resolve
from stockifyd_postgres.connection import Session, Transaction
from stockifyd_postgres.lookup_options import LookupOptions
from stockifyd_postgres.patience import Patience
from stockifyd_postgres.pulse import Pulse
from stockifyd_postgres.standing import Standing

if TYPE_CHECKING:
    import asyncpg

T = TypeVar("T")
Examine = Callable[[Transaction], Awaitable[None]]

LOOK_SECS = 1.0
"""How often a server that is not read is looked at."""
GRACE_SECS = 1.0
"""What an answer has on top of the server's own limit: the server's is the better one."""
OPENING_LOOKS, OPENING_SECS = 20, 0.1
"""At the start a replica has a moment to replay the first heartbeat."""
HAS_HEARTBEAT = """SELECT coalesce(has_table_privilege(to_regclass('stockifyd.heartbeat')::oid, 'SELECT'), false)
AND has_schema_privilege('stockifyd', 'USAGE')"""
FRESHNESS = """SELECT pg_is_in_recovery() AS is_standby, h.beat_at,
coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::bigint AS replayed
FROM (SELECT 1) AS always LEFT JOIN stockifyd.heartbeat AS h ON true"""


@dataclass(slots=True)
class Server:
    """One of them."""

    session: Session
    is_primary: bool = False
    """Whether the heartbeat is stamped here, or nowhere."""
    standing: Standing = field(default_factory=Standing)
    drift: Drift | None = None
    """What an operator must mend before it can be read."""

    @property
    def told(self) -> str:
        """Where it is, and why it is not read."""
        return f"{self.session.address}: {self.standing.reason or 'read'}"


class Behind(Unavailable):
    """This server may not be read."""


class Replicas:
    """Reads on the first server that is up. How fresh it is, is judged in the snapshot that is read: never stale."""

    def __init__(self, options: LookupOptions, log: logging.Logger, *, application: str, examine: Examine) -> None:
        self._options, self._log, self._examine = options, log, examine
        self._pulse: Pulse | None = None
        primary = resolve(options.primary) if needs_primary(options) else None
        if primary is not None and options.max_lag_ms is not None:
            self._pulse = Pulse(primary, application=application, log=log)
        self._servers = [
            Server(Session(address, options, application=application, log=log), primary in (None, address))
            for address in addresses(options)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Find a server to read. Drift where the table is not as the options say, Unavailable where none is fit."""
        await self._pause()
        for _ in range(OPENING_LOOKS):
            if self._pulse is not None:
                await self._pulse.beat()
            await asyncio.gather(*(self._look(server) for server in self._servers if not server.standing.is_up))
            if fit := [server for server in self._servers if server.standing.is_up]:
                break
            if all(server.drift for server in self._servers):
                raise self._none([])
            await asyncio.sleep(OPENING_SECS)
        else:
            raise self._none([])
        self._log.info("✓ Lookups in %s are read at %s", self._options.source, fit[0].session.address)
        watches = [self._watch(server) for server in self._servers]
        self._tasks = [asyncio.create_task(work) for work in (*watches, *([self._pulse.run()] if self._pulse else []))]

    async def read(self, ask: Callable[[Transaction], Awaitable[T]]) -> T:
        """What `ask` finds on the first server that is fit.

        Unavailable where none is; Retry where `ask` was answered with one everywhere (rows not there yet, a conflict with what a
        replica replays). Whatever else `ask` raises goes through.
        """
        told: list[StockifydError] = []
        for server in self._servers:
            if server.standing.is_up:
                try:
                    return await self._read(server, ask)
                except (Unavailable, Retry) as error:
                    told.append(error)
        raise self._none(told)

    @property
    def reading(self) -> Address | None:
        """Where the next batch is read; None: nowhere."""
        return next((server.session.address for server in self._servers if server.standing.is_up), None)

    async def findings(self) -> list[str]:
        """What is wrong with each server, for an operator."""
        if self._pulse is not None:
            await self._pulse.beat()
        for server in self._servers:
            server.standing = Standing()
        await asyncio.gather(*(self._look(server) for server in self._servers))
        return [f"{server.told}\n  HINT: {CURE}" for server in self._servers if not server.standing.is_up]

    async def close(self) -> None:
        """Look at nothing any more, and close what is open."""
        await self._pause()
        for server in self._servers:
            await server.session.close()
        if self._pulse is not None:
            await self._pulse.close()

    async def _pause(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, server: Server, ask: Callable[[Transaction], Awaitable[T]]) -> T:
        with Patience(server.session, self._first_secs) as patience:
            try:
                async with server.session.transaction() as transaction:
                    await self._judge(server, transaction)
                    patience.wait(self._options.statement_timeout_ms / 1000 + GRACE_SECS)
                    return await ask(transaction)
            except Behind:
                raise
            except Unavailable as error:
                # Replay that conflicts with us may end the connection, and then no SQLSTATE tells: is the server well?
                if not patience.is_over and await self._answers(server):
                    raise Retry(error.reason, hint=error.hint) from error
                server.standing.lost(error.reason)
                self._told(server)
                raise

    async def _answers(self, server: Server) -> bool:
        try:
            with Patience(server.session, self._first_secs):
                async with server.session.transaction() as transaction:
                    await transaction.value("SELECT 1")
        except StockifydError:
            return False
        return True

    @property
    def _first_secs(self) -> float:
        """How long a server has for its first answer."""
        return self._options.connect_timeout_secs + GRACE_SECS

    async def _judge(self, server: Server, transaction: Transaction) -> None:
        """Whether it may be read in this snapshot; Behind if not."""
        before = server.standing.state
        if self._pulse is not None:
            self._weigh(server, (await transaction.fetch(FRESHNESS))[0], self._pulse)
        elif self._options.max_lag_ms is not None and await transaction.value("SELECT pg_is_in_recovery()"):
            server.standing.unclear("a standby, where the primary is asked for")
        else:
            server.standing.seen(0.0, self._options.max_lag_ms)
        if before != "new" and (before == "up") != server.standing.is_up:
            self._told(server)
        if not server.standing.is_up:
            raise Behind(server.told)

    def _weigh(self, server: Server, row: asyncpg.Record, pulse: Pulse) -> None:
        """By the heartbeat, also where it is no standby: one that was promoted beside a living primary gets no beats."""
        standing, beat_at = server.standing, row["beat_at"]
        if server.is_primary and not row["is_standby"]:
            standing.seen(0.0, self._options.max_lag_ms)
        elif beat_at is None or (lag := pulse.lag_ms(beat_at)) is None:
            standing.unclear("how far it is behind nobody knows: no heartbeat of the primary was seen")
        else:
            standing.seen(lag, self._options.max_lag_ms)
            if not standing.is_up and (behind := pulse.bytes_behind(row["replayed"])):
                standing.reason += f", {behind:,} bytes not replayed"

    async def _look(self, server: Server) -> None:
        """Look at a server that is not read; what is seen is its standing."""
        server.drift = None
        try:
            with Patience(server.session, self._first_secs + self._options.statement_timeout_ms / 1000):
                async with server.session.transaction() as transaction:
                    if self._pulse is not None and not await transaction.value(HAS_HEARTBEAT):
                        server.standing.unclear("there is no table stockifyd.heartbeat, or no right to read it")
                        return
                    await self._examine(transaction)
                    await self._judge(server, transaction)
        except Behind:
            return
        except Drift as error:
            server.standing.unclear(error.reason)
            server.drift = error
        except StockifydError as error:
            server.standing.lost(error.reason)

    async def _watch(self, server: Server) -> None:
        while True:
            await asyncio.sleep(LOOK_SECS)
            if not server.standing.is_up:
                await self._look(server)

    def _told(self, server: Server) -> None:
        """Once when it goes, and once when it is back."""
        if server.standing.is_up:
            self._log.info("%s is read again", server.session.address)
        else:
            self._log.warning("%s is not read any more: %s", server.session.address, server.standing.reason)

    def _none(self, told: Sequence[StockifydError]) -> StockifydError:
        again = next((error for error in told if isinstance(error, Retry)), None)
        if again is not None:
            return again
        drifts = [server.drift for server in self._servers if server.drift]
        if len(drifts) == len(self._servers):  # where only one drifts, the table may be on its way there
            return drifts[0]
        reasons = "; ".join(server.told for server in self._servers)
        return Unavailable(f"nothing to look up {self._options.source} in: {reasons}", hint=CURE)


CURE = (
    "a replica is read again when it stands; see `max_lag_ms` and `fallback`, and whether `stockifyd migrate` made the heartbeat"
)


def needs_primary(options: LookupOptions) -> bool:
    """Whether it must be known where the primary is."""
    return options.fallback == "primary" or (options.max_lag_ms is not None and options.database.reveal() != "primary")


def addresses(options: LookupOptions, environment: Mapping[str, str] = os.environ) -> list[Address]:
    """Where rows are looked up, in order."""
    is_replica = options.database.reveal() == "replica"
    found = replicas(environment) if is_replica else [resolve(options.database, environment)]
    fallback = [resolve(options.primary, environment)] if options.fallback == "primary" else []
    return list(dict.fromkeys([*found, *fallback]))
