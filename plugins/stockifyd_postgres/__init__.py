"""PostgreSQL and TimescaleDB through PgBouncer: the exactly-once sink."""

from __future__ import annotations

import click

from stockifyd.api import LoadSpec, hookimpl
from stockifyd_postgres.commands import dlq_command, migrate_command
from stockifyd_postgres.sink import Postgres


@hookimpl
def stockifyd_components() -> list[type[Postgres]]:
    return [Postgres]


@hookimpl
def stockifyd_commands(load: LoadSpec) -> list[click.Command]:
    return [migrate_command(load), dlq_command(load)]
