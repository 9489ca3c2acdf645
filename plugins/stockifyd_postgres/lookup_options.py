"""What a user may say of the transform `lookup`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from stockifyd.api import Secret
from stockifyd_postgres.options import IDENTIFIER, ConnectionOptions, Milliseconds, check_table, target_of

Column = Annotated[str, Meta(pattern=f"^{IDENTIFIER.pattern}$")]
Word = Annotated[str, Meta(min_length=1)]


class AsOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the rows that match, the newest one that is not later than a time."""

    column: Annotated[Column, Meta(description="The looked-up table's time, a timestamptz.", examples=["timestamp"])]
    time: Annotated[Word, Meta(description="The column of the batch's table that holds the row's time.", examples=["timestamp"])]
    within_secs: Annotated[
        float,
        Meta(gt=0, description="How much older than that time a row may be; older ones are not looked for.", examples=[600]),
    ]
    ago_secs: Annotated[float, Meta(ge=0, description="How long before the row's time the newest row may be.")] = 0.0
    before_day_in: Annotated[
        str | None,
        Meta(
            description="A time zone: the newest row from before the row's own day there; on Monday that is one of Friday.",
            examples=["Asia/Kolkata"],
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.before_day_in is None:
            return
        if self.ago_secs:
            raise ValueError("ago_secs: not together with `before_day_in`")
        try:
            ZoneInfo(self.before_day_in)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                f"before_day_in: {self.before_day_in!r} is not a time zone; write one such as Asia/Kolkata"
            ) from None


class After(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose rows must be there before they are looked for."""

    consumer: Annotated[
        Word,
        Meta(description="Who stores them: the Kafka group of the pipeline that writes the table.", examples=["storage-group"]),
    ]
    sink: Annotated[Word, Meta(description="The name of its sink.")] = "postgres"


class LookupOptions(ConnectionOptions, frozen=True, kw_only=True):
    """Which rows are looked up, where, and what becomes of them."""

    table: Annotated[Word, Meta(description="The table of the batch whose rows are looked up.", examples=["readings"])]
    source: Annotated[
        str, Meta(description="The table to look in: `table`, in schema public, or `schema.table`.", examples=["sensors"])
    ] = msgspec.field(name="from")
    match: Annotated[
        dict[Word, Column],
        Meta(
            min_length=1,
            description="Which row is meant, `column of the batch's table: column of the looked-up table`, all of them equal.",
            examples=[{"sensor": "sensor_id"}],
        ),
    ]
    columns: Annotated[
        tuple[Column, ...], Meta(min_length=1, description="The columns to take over.", examples=[["room", "floor"]])
    ]
    prefix: Annotated[str, Meta(description="What is put before their names.", examples=["past_"])] = ""
    into: Annotated[
        Word | None,
        Meta(
            description="Make a table of this name, of the columns of `match` and those found, and leave the other as it is;"
            " default: the columns found are added to the rows of `table`.",
            examples=["history"],
        ),
    ] = None
    on_miss: Annotated[
        Literal["keep", "reject"],
        Meta(description="Where no row is found: `keep` the row, with nulls; `reject` its message, which becomes a dead letter."),
    ] = "keep"
    as_of: Annotated[
        AsOf | None, Meta(description="Many rows match, and the newest one of a time is meant; default: one does.")
    ] = None
    after: Annotated[
        After | None,
        Meta(
            description="Look only where another pipeline's rows of the same topic are stored up to these messages; default: look"
            " at what is there."
        ),
    ] = None
    database: Annotated[
        Secret,
        Meta(
            description="`replica` (DATABASE_REPLICA_HOSTS, DATABASE_PORT, ...: the first that is fit), `primary`, or a URL:"
            " postgresql://..."
        ),
    ] = msgspec.field(default_factory=lambda: Secret("replica"))  # a schema cannot show a Secret as its default
    primary: Annotated[
        Secret,
        Meta(description="Where the heartbeat is stamped: `primary` (DATABASE_URL, else DATABASE_PRIMARY_HOST, ...) or a URL."),
    ] = msgspec.field(default_factory=lambda: Secret("primary"))
    fallback: Annotated[
        Literal["none", "primary"],
        Meta(description="Where to look while no replica is fit: nowhere, and wait for one, or on the primary."),
    ] = "none"
    max_lag_ms: Annotated[
        Annotated[int, Meta(ge=2000)] | None,
        Meta(description="A replica that is further behind is not read; `null`: read it however far behind it is."),
    ] = 5000
    cache_secs: Annotated[float, Meta(ge=0, description="How long a row that was found is remembered; 0: not at all.")] = 0.0
    cache_max_rows: Annotated[int, Meta(ge=1, description="How many rows are remembered; the one not used the longest goes.")] = (
        10_000
    )
    connect_timeout_secs: Annotated[float, Meta(gt=0, description="The time a new connection has.")] = 3.0
    statement_timeout_ms: Annotated[
        Milliseconds, Meta(description="The time the query of a batch has; past it, and a grace, the connection is given up.")
    ] = 5_000

    def __post_init__(self) -> None:
        check_table("from", self.source)
        for name, address, words in (
            ("database", self.database, ("replica", "primary")),
            ("primary", self.primary, ("primary",)),
        ):
            if not re.match(rf"({'|'.join(words)})$|postgres(ql)?://", address.reveal()):
                raise ValueError(
                    f"{name}: write {' or '.join(f'`{word}`' for word in words)}, or a URL that begins with postgresql://"
                )
        for name, columns in (("columns", self.columns), ("match", tuple(self.match.values()))):
            if twice := [column for column in columns if columns.count(column) > 1]:
                raise ValueError(f"{name}: {twice[0]!r} stands there twice")
        if self.into == self.table:
            raise ValueError(f"into: {self.into!r} is the table itself; leave `into` out to add columns to it")
        if self.as_of is not None and self.as_of.column in self.match.values():
            raise ValueError(f"match: {self.as_of.column!r} is the time of `as_of`, which need not be equal")

    @property
    def target(self) -> tuple[str, str]:
        """Schema and table."""
        return target_of(self.source)

    @property
    def found(self) -> tuple[str, ...]:
        """What the columns found are called."""
        return tuple(self.prefix + column for column in self.columns)

    @property
    def settings(self) -> Mapping[str, str | int]:
        """Reading alone, and all that is read for a batch is of one instant."""
        return {**super().settings, "transaction_isolation": "'repeatable read'", "transaction_read_only": "on"}


class PulseOptions(ConnectionOptions, frozen=True, kw_only=True):
    """For the heartbeat's own connection."""

    @property
    def settings(self) -> Mapping[str, str | int]:
        """Flushed, so that replicas get it at once; no standby is waited for."""
        return {**super().settings, "synchronous_commit": "local"}
