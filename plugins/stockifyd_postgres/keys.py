"""The keys that a batch's rows are looked up by, each once; and the messages whose rows have none that could be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from stockifyd.api import Row, Table
from stockifyd_postgres.inquiry import Key
from stockifyd_postgres.lookup_options import AsOf, LookupOptions
from stockifyd_postgres.values import JUDGES

EPSILON = timedelta(microseconds=1)
"""The smallest step of a time in PostgreSQL."""


@dataclass(slots=True)
class Keys:
    """A key for each row of a table: None where one of its values is null, for nothing is equal to null."""

    of_rows: list[Key | None]
    refused: dict[int, str] = field(default_factory=dict)
    """Messages with a value that no row could have, and why: of the first such row."""

    def add(self, more: Keys) -> None:
        """Those of the next rows."""
        self.of_rows += more.of_rows
        self.refused = {**more.refused, **self.refused}

    def distinct(self) -> list[Key]:
        """Each key once, in the order of the rows."""
        return list(dict.fromkeys(key for key in self.of_rows if key is not None))


def keys_of(table: Table, options: LookupOptions, kinds: Sequence[str], rows: range | None = None) -> Keys:
    """The keys of some of a table's rows, or of all. `kinds` are the types of the columns that they are compared with."""
    rows = range(len(table.rows)) if rows is None else rows
    part = table.rows[rows.start : rows.stop]
    columns = [_column(table, part, name) for name in options.match]
    faults = [
        _faults(f"{name!r}", values, JUDGES[kind], kind) for name, values, kind in zip(options.match, columns, kinds, strict=True)
    ]
    spans: dict[Any, tuple[datetime, datetime]] = {}
    if options.as_of is not None:
        times = _column(table, part, options.as_of.time)
        spans, wrong = _spans(times, options.as_of)
        faults.append(wrong)
        columns.append(times)
    refused = {row: why for found in faults for row, why in found.items()}
    keys: list[Key | None] = []
    for row, values in enumerate(zip(*columns, strict=True)):
        if row in refused or None in values:
            keys.append(None)
        else:
            keys.append(values if options.as_of is None else (*values[:-1], *spans[values[-1]]))
    return Keys(keys, {table.message_of(rows[row]): why for row, why in sorted(refused.items(), reverse=True)})


def _column(table: Table, rows: Sequence[Row], name: str) -> list[Any]:
    place = table.columns.index(name)
    return [row[place] for row in rows]


def _faults(name: str, values: Sequence[Any], judge: Callable[[str, Any], str], kind: str) -> dict[int, str]:
    """Rows whose value could not be compared, and why. Values are few, rows are many: each value is judged once."""
    try:
        wrong: Mapping[Any, str] = {value: why for value in set(values) if value is not None and (why := judge(kind, value))}
        if not wrong:
            return {}
        told = [(row, wrong.get(value, "")) for row, value in enumerate(values)]
    except TypeError:  # a value that cannot be hashed, such as a list
        told = [(row, judge(kind, value)) for row, value in enumerate(values) if value is not None]
    return {row: f"column {name}, looked up as {kind}: {why}" for row, why in told if why}


def _spans(times: Iterable[Any], as_of: AsOf) -> tuple[dict[Any, tuple[datetime, datetime]], dict[int, str]]:
    """Of each time, the span in which the row that is meant lies; and the rows whose time is none."""
    spans: dict[Any, tuple[datetime, datetime]] = {}
    wrong: dict[int, str] = {}
    cut = _cutter(as_of)
    within = timedelta(seconds=as_of.within_secs)
    for row, time in enumerate(times):
        if not isinstance(time, datetime) or time.tzinfo is None:
            if time is not None:
                what = "a time without a zone" if isinstance(time, datetime) else f"a {type(time).__name__}, not a time"
                wrong[row] = f"column {as_of.time!r}, looked up as of: {what}"
        elif time not in spans:
            try:
                high = cut(time)
                spans[time] = (high - within, high)
            except (OverflowError, ValueError):
                wrong[row] = f"column {as_of.time!r}, looked up as of: a time beyond the calendar"
    return spans, wrong


def _cutter(as_of: AsOf) -> Callable[[datetime], datetime]:
    """The latest time that a row may have, of the time of ours."""
    if as_of.before_day_in is None:
        ago = timedelta(seconds=as_of.ago_secs)
        return lambda time: time - ago
    zone = ZoneInfo(as_of.before_day_in)

    def before_day(time: datetime) -> datetime:
        return time.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0) - EPSILON

    return before_day
