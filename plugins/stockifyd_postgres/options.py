"""What a user may say of a connection to PostgreSQL, and of the sink."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stockifyd.api import Config, Secret

OnConflict = Literal["error", "ignore", "update"]
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
Milliseconds = Annotated[int, Meta(ge=1)]


def check_table(option: str, name: str) -> None:
    """ValueError where an option names no table."""
    parts = name.split(".")
    if len(parts) > 2 or not all(IDENTIFIER.fullmatch(part) for part in parts):  # noqa: PLR2004
        raise ValueError(f"{option}: {name!r} is not a table's name; write `table` or `schema.table`")


def target_of(name: str) -> tuple[str, str]:
    """Schema and table of `table` or `schema.table`."""
    schema, _, table = name.rpartition(".")
    return schema or "public", table


class TableOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one table of the batch goes."""

    into: Annotated[str, Meta(description="The target: `table`, in schema public, or `schema.table`.")]
    on_conflict: Annotated[
        OnConflict,
        Meta(description="A row whose key is already there: halt (error), leave the old one (ignore), overwrite it (update)."),
    ] = "error"
    key: Annotated[
        tuple[str, ...],
        Meta(description="The columns that make a row unique; default: the target's primary key, else its only unique index."),
    ] = ()
    columns: Annotated[tuple[str, ...], Meta(description="The columns to write; default: all that the table brings.")] = ()

    def __post_init__(self) -> None:
        check_table("into", self.into)
        for name in (*self.key, *self.columns):
            if not IDENTIFIER.fullmatch(name):
                raise ValueError(f"{name!r} is not a column's name")
        if self.columns and (absent := [name for name in self.key if name not in self.columns]):
            raise ValueError(f"key: {absent[0]!r} is not among columns")

    @property
    def target(self) -> tuple[str, str]:
        """Schema and table."""
        return target_of(self.into)


class ConnectionOptions(Config, frozen=True, kw_only=True):
    """How long things may take at the database."""

    connect_timeout_secs: Annotated[float, Meta(gt=0, description="The time a new connection has.")] = 10.0
    statement_timeout_ms: Annotated[
        Milliseconds, Meta(description="The time one statement or COPY has; past it, and a grace, the connection is given up.")
    ] = 120_000
    lock_timeout_ms: Annotated[Milliseconds, Meta(description="The time a statement waits for a lock.")] = 10_000
    idle_in_transaction_timeout_ms: Annotated[
        Milliseconds, Meta(description="The server ends a transaction of ours that says nothing for this long.")
    ] = 15_000

    @property
    def settings(self) -> Mapping[str, str | int]:
        """What each transaction sets for itself."""
        return {
            "statement_timeout": self.statement_timeout_ms,
            "lock_timeout": self.lock_timeout_ms,
            "idle_in_transaction_session_timeout": self.idle_in_transaction_timeout_ms,
            "search_path": "public",
        }


class PostgresOptions(ConnectionOptions, frozen=True, kw_only=True):
    """Options of the sink `postgres`."""

    tables: Annotated[
        dict[str, TableOptions],
        Meta(min_length=1, description="By the name of a table in the batch: where its rows go, and what happens on a conflict."),
    ]
    database: Annotated[
        Secret,
        Meta(description="`primary` (DATABASE_URL, else DATABASE_PRIMARY_HOST, DATABASE_PORT, ...) or a URL: postgresql://..."),
    ] = msgspec.field(default_factory=lambda: Secret("primary"))  # a schema cannot show a Secret as its default
    synchronous_commit: Annotated[
        Literal["on", "off"],
        Meta(description="`off` does not wait for the disk: after a crash rows and offsets rewind together and are read again."),
    ] = "on"
    retention_days: Annotated[
        int, Meta(ge=1, description="A row whose time is older is a dead letter. Tables partitioned by time alone.")
    ] = 3650
    future_days: Annotated[
        int, Meta(ge=1, description="A row whose time is further ahead is a dead letter. Tables partitioned by time alone.")
    ] = 2

    def __post_init__(self) -> None:
        if not re.match(r"primary$|postgres(ql)?://", self.database.reveal()):
            raise ValueError("database: write `primary`, or a URL that begins with postgresql://")
        targets = [table.target for table in self.tables.values()]
        if twice := [".".join(target) for target in targets if targets.count(target) > 1]:
            raise ValueError(f"tables: two of them go into {twice[0]!r}")

    @property
    def settings(self) -> Mapping[str, str | int]:
        return {**super().settings, "synchronous_commit": self.synchronous_commit}
