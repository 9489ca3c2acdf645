"""PostgreSQL and TimescaleDB through PgBouncer: the exactly-once sink, lookups on replicas, and the source of what is past."""

from __future__ import annotations

from typing import Any

import click

from stockifyd.api import Component, LoadSpec, hookimpl
from stockifyd_postgres.audit_command import audit_command
from stockifyd_postgres.commands import dlq_command, migrate_command
from stockifyd_postgres.lookup import Lookup
from stockifyd_postgres.sink import Postgres
from stockifyd_postgres.source import PostgresSource


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Postgres, PostgresSource, Lookup]


@hookimpl
def stockifyd_commands(load: LoadSpec) -> list[click.Command]:
    return [migrate_command(load), dlq_command(load), audit_command]
