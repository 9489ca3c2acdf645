"""What the source asks of the database: the table as the catalogue shows it, and the SQL of one day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from stockifyd.api import Drift
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.names import guess, listed, qualified, quote
from stockifyd_postgres.positions import Day
from stockifyd_postgres.source_options import PostgresSourceOptions

CURSOR = "stockifyd_source"
SHAPE = """SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type, coalesce(k.at, 0)::int AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
LEFT JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, at) ON k.number = a.attnum
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum"""
KINDS: Mapping[str, Kind] = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "date": "date",
}
Kind = Literal["timestamptz", "timestamp", "date"]


@dataclass(frozen=True, slots=True)
class Question:
    """The SQL that answers with a day's rows: their time, the row as JSON, and the columns that part messages."""

    sql: str
    kind: Kind
    values: tuple[list[str], ...]
    """What `where_in` lists, as text."""

    def arguments(self, day: Day, start: datetime) -> tuple[Any, ...]:
        """Its parameters, for rows from `start` on."""
        return (self._bound(start), self._bound(day.end), *self.values)

    def time_of(self, value: datetime | date) -> datetime:
        """A row's time, in UTC."""
        if not isinstance(value, datetime):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        return value if value.tzinfo else value.replace(tzinfo=UTC)

    def _bound(self, at: datetime) -> datetime | date:
        if self.kind == "timestamptz":
            return at
        naive = at.astimezone(UTC).replace(tzinfo=None)
        if self.kind == "timestamp":
            return naive
        is_midnight = naive == datetime(naive.year, naive.month, naive.day)  # noqa: DTZ001  UTC, said above
        return naive.date() if is_midnight else naive.date() + timedelta(days=1)


async def ask(transaction: Transaction, options: PostgresSourceOptions) -> Question:
    """The question that the options ask of the table that is there. Drift where it cannot be asked."""
    rows = await transaction.fetch(SHAPE, *options.target)
    if not rows:
        raise Drift(f"there is no table or view {options.table!r}, or no right to see it", hint="correct `table`")
    types = {row["name"]: row["type"] for row in rows}
    primary = [row["name"] for row in sorted(rows, key=lambda row: row["key"]) if row["key"]]
    return question(options, types, primary)


def question(options: PostgresSourceOptions, types: Mapping[str, str], primary: Sequence[str]) -> Question:
    """The question, given the table's columns with their types, and its primary key."""
    named = {"time_column": [options.time_column], "columns": options.columns, "key": options.key}
    named |= {"where_in": [*options.where_in], "message_by": options.message_by}
    absent = [f"{option}: {name!r}{guess(name, types)}" for option, names in named.items() for name in names if name not in types]
    if absent:
        raise Drift(f"{options.table!r} has no such columns: {', '.join(absent)}", hint="correct the spec")
    if (kind := KINDS.get(types[options.time_column])) is None:
        raise Drift(
            f"time_column: {options.time_column!r} of {options.table!r} is of type {types[options.time_column]}",
            hint=f"it must be one of {', '.join(KINDS)}",
        )
    if not (key := options.key or tuple(primary)):
        raise Drift(f"{options.table!r} has no primary key", hint="name in `key` the columns that tell rows of one time apart")
    return Question(_sql(options, types, key), kind, tuple([str(v) for v in values] for values in options.where_in.values()))


def _sql(options: PostgresSourceOptions, types: Mapping[str, str], key: Iterable[str]) -> str:
    """Sorted below (OFFSET 0 keeps it there), made JSON above: rows are wider as JSON, and would be sorted so."""
    time = quote(options.time_column)
    order = tuple(dict.fromkeys([options.time_column, *options.message_by, *key]))
    shown = options.columns or tuple(types)
    conditions = [f"t.{time} >= $1", f"t.{time} < $2"]
    conditions += [f"t.{quote(name)} = ANY (${at}::text[]::{types[name]}[])" for at, name in enumerate(options.where_in, start=3)]
    needed = listed(dict.fromkeys([*shown, *order]))
    where, sorted_by = " AND ".join(conditions), listed(order)
    below = f"SELECT {needed} FROM {qualified(options.target)} AS t WHERE {where} ORDER BY {sorted_by} OFFSET 0"  # noqa: S608
    groups = "".join(f", s.{quote(name)}" for name in options.message_by)
    row = ", ".join(f"s.{quote(name)}" for name in shown)
    above = f"SELECT s.{time}, row_to_json(r)::text{groups} FROM ({below}) AS s CROSS JOIN LATERAL (SELECT {row}) AS r"  # noqa: S608
    return f"{above} ORDER BY {', '.join(f's.{quote(name)}' for name in order)}"
