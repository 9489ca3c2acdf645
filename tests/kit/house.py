"""A primary with sensors and two streaming replicas, each behind a PgBouncer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kit.fixtures_postgres import READER, Database
from kit.pgbouncer import PgBouncer
from kit.postgres_replica import PostgresReplica
from stockifyd_postgres.lookup import Lookup


@dataclass(frozen=True)
class House:
    """Where the sensors are, and how they are reached."""

    primary: Database
    replicas: tuple[PostgresReplica, PostgresReplica]
    poolers: tuple[PgBouncer, PgBouncer]

    @property
    def url(self) -> str:
        """The primary, as the reader."""
        return self.primary.pooler.url(self.primary.name, user=READER)

    def port(self, replica: int) -> int:
        return self.poolers[replica].port

    def hold(self, replica: int) -> None:
        """The replica goes on receiving, and replays nothing."""
        self.replicas[replica].sql("SELECT pg_wal_replay_pause()")

    def go_on(self, replica: int) -> None:
        self.replicas[replica].sql("SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        for replica in self.replicas:
            replica.catch_up()


Opened = Callable[..., Awaitable[Lookup]]
