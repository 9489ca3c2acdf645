"""The servers that a source may read from: the first one that answers, and the next one where it is lost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from logging import Logger

from stockifyd.api import Drift, StockifydError, Unavailable
from stockifyd_postgres.address import Address, replicas, resolve
from stockifyd_postgres.connection import Session, Transaction
from stockifyd_postgres.question import Question, ask
from stockifyd_postgres.source_options import PostgresSourceOptions

# A standby has all that is older than a time if it has replayed a commit that is younger, or, of an idle primary, all that this
# had when it last spoke. What it has received and replayed says nothing: after a restart it may have received little yet.
STANDING = """SELECT now() < $1::timestamptz AS is_early, pg_is_in_recovery() AS is_standby, pg_is_in_recovery()
AND coalesce(pg_last_xact_replay_timestamp() < $1::timestamptz, true) AND NOT EXISTS (SELECT FROM pg_stat_wal_receiver
WHERE latest_end_lsn <= pg_last_wal_replay_lsn() AND last_msg_send_time >= $1::timestamptz) AS is_behind,
(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0')::bigint AS lsn"""


class Places:
    """A session to one of the servers. `turn` goes to the next; sessions begin there from then on."""

    def __init__(self, options: PostgresSourceOptions, log: Logger, *, application: str) -> None:
        self._options, self._log = options, log
        self._sessions = [Session(at, options, application=application, log=log) for at in addresses(options)]
        self._at = self._lsn = 0

    @property
    def session(self) -> Session:
        """Where we read."""
        return self._sessions[self._at]

    def turn(self) -> None:
        """Go to the next server."""
        self._at = (self._at + 1) % len(self._sessions)

    async def open(self) -> Question:
        """Find a server that answers and has all that is asked for. Raises what the last one said, where none does."""
        for left in reversed(range(len(self._sessions))):
            try:
                return await self._look()
            except Unavailable as error:
                if not left:
                    raise
                self._log.warning("%s; trying the next one", error.reason)
                self.turn()
        raise AssertionError("there is at least one server")

    async def close(self) -> None:
        """Close what is open."""
        for session in self._sessions:
            await session.close()

    async def findings(self) -> list[str]:
        """What is wrong with each of the servers."""
        found = []
        for session in self._sessions:
            twin = session.twin()
            try:
                async with twin.transaction() as transaction:
                    await self.check(transaction)
                    await ask(transaction, self._options)
            except StockifydError as error:
                found.append(f"{error.reason}\n  HINT: {error.hint}" if error.hint else error.reason)
            finally:
                await twin.close()
        return found

    async def _look(self) -> Question:
        async with self.session.transaction() as transaction:
            kind = await self.check(transaction)
            found = await ask(transaction, self._options)
        self._log.info("✓ Database connected: %s at %s", kind, self.session.address)
        return found

    async def check(self, transaction: Transaction) -> str:
        """Whether all rows up to `to` are here, as they must be before they are read; says what kind of server it is."""
        end = self._options.end
        standing = (await transaction.fetch(STANDING, end))[0]
        if standing["is_early"]:
            raise Drift(f"to: {end.isoformat()} is in the future, rows may still come", hint="read what is past")
        if standing["lsn"] < self._lsn:
            raise Unavailable(f"{transaction.address} has not replayed all that was there before", hint="it is waited for")
        if standing["is_behind"]:
            raise Unavailable(
                f"{transaction.address} is a replica that has not replayed all that is older than {end.isoformat()}",
                hint="does it stream? Of a primary that is idle since then it is seen by a commit there (`SELECT"
                " pg_current_xact_id()`), or by a reader that is granted pg_read_all_stats",
            )
        self._lsn = standing["lsn"]
        return "replica" if standing["is_standby"] else "primary"


def addresses(options: PostgresSourceOptions, environment: Mapping[str, str] = os.environ) -> list[Address]:
    """Where the rows may be read."""
    if options.database.reveal() == "replica":
        return replicas(environment)
    return [resolve(options.database, environment)]
