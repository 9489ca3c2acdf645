"""PostgreSQL and TimescaleDB through PgBouncer: the exactly-once sink."""

from __future__ import annotations

import click

from stockifyd.api import LoadSpec, hookimpl
from stockifyd_postgres.sink import Postgres


@hookimpl
def stockifyd_components() -> list[type[Postgres]]:
    return [Postgres]


@hookimpl
def stockifyd_commands(load: LoadSpec) -> list[click.Command]:
    from stockifyd_postgres.dlq import dlq_command  # noqa: PLC0415 - a run needs no commands
    from stockifyd_postgres.migrate import migrate_command  # noqa: PLC0415

    return [migrate_command(load), dlq_command(load)]
