"""What a user may say of the PostgreSQL source."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stockifyd.api import Secret
from stockifyd_postgres.options import IDENTIFIER, ConnectionOptions, Milliseconds, check_table, target_of

Column = Annotated[str, Meta(pattern=f"^{IDENTIFIER.pattern}$")]
Time = Annotated[datetime, Meta(tz=True)]
DIGITS = 12


class PostgresSourceOptions(ConnectionOptions, frozen=True, kw_only=True):
    """Which rows are read, in which order, and what a message is."""

    table: Annotated[str, Meta(description="A table or a view: `table`, in schema public, or `schema.table`.")]
    time_column: Annotated[
        Column, Meta(description="The column that orders the rows: timestamptz, timestamp (taken as UTC) or date.")
    ]
    start: Annotated[Time, Meta(description="The first time that is read.", examples=["2026-11-24T03:45:00Z"])] = msgspec.field(
        name="from"
    )
    end: Annotated[
        Time, Meta(description="The first time that is not read any more; not in the future.", examples=["2026-11-24T10:00:00Z"])
    ] = msgspec.field(name="to")
    database: Annotated[
        Secret,
        Meta(
            description="`replica` (DATABASE_REPLICA_HOSTS, DATABASE_PORT, ...: the first that answers), `primary` as for the"
            " sink, or a URL: postgresql://..."
        ),
    ] = msgspec.field(default_factory=lambda: Secret("replica"))  # a schema cannot show a Secret as its default
    columns: Annotated[tuple[Column, ...], Meta(description="The columns that are read; default: all.")] = ()
    where_in: Annotated[
        dict[Column, Annotated[list[int | str], Meta(min_length=1)]],
        Meta(description="Only rows whose column has one of these values.", examples=[{"symbol_id": [13, 25]}]),
    ] = msgspec.field(default_factory=dict)
    key: Annotated[
        tuple[Column, ...], Meta(description="Columns that tell rows of one time apart; default: the table's primary key.")
    ] = ()
    message: Annotated[
        Literal["rows", "row"],
        Meta(
            description="`rows`: the rows of one time that agree in `message_by`, as {rows: [...]}; `row`: each row, an object."
        ),
    ] = "rows"
    message_by: Annotated[
        tuple[Column, ...], Meta(description="Columns in which the rows of a message agree; their values are its key.")
    ] = ()
    message_max_rows: Annotated[int, Meta(ge=1, description="A message with more rows is cut.")] = 10_000
    read_max_rows: Annotated[int, Meta(ge=1, description="Rows that are fetched at a time.")] = 5_000
    checkpoint: Annotated[
        str | None,
        Meta(
            description="A file that remembers how far the rows were delivered, where no sink keeps a ledger; default: each run"
            " begins at `from`.",
            examples=["/var/lib/stockifyd/historical.checkpoint"],
        ),
    ] = None
    consumer: Annotated[
        str, Meta(description="Who reads, as ledgers file it; default: the pipeline's name. Another one begins at `from`.")
    ] = ""
    statement_timeout_ms: Annotated[
        Milliseconds, Meta(description="The time one fetch has; the first one of a day may have to sort it.")
    ] = 600_000

    def __post_init__(self) -> None:
        check_table("table", self.table)
        if not re.match(r"(primary|replica)$|postgres(ql)?://", self.database.reveal()):
            raise ValueError("database: write `replica`, `primary`, or a URL that begins with postgresql://")
        if self.start >= self.end:
            raise ValueError(f"to: {self.end.isoformat()} is not after from, {self.start.isoformat()}")
        for name in ("columns", "key", "message_by"):
            if len(set(found := getattr(self, name))) < len(found):
                raise ValueError(f"{name}: one stands there twice")

    @property
    def target(self) -> tuple[str, str]:
        """Schema and table."""
        return target_of(self.table)

    @property
    def question(self) -> str:
        """A short name of what positions depend on: options under which the same position is another message differ in it."""
        asked = (
            *("from " + self.start.astimezone(UTC).isoformat(), self.table, self.time_column, self.columns, self.key),
            *(sorted(self.where_in.items()), self.message, self.message_by, self.message_max_rows),
        )
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:DIGITS]

    @property
    def settings(self) -> Mapping[str, str | int]:
        """Reading alone; times in UTC, and numbers as they are."""
        return {**super().settings, "transaction_read_only": "on", "timezone": "'UTC'", "extra_float_digits": 1}
