"""A lookup without a server: the rows that a test file says there are, asked as the table would be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

from stockifyd.api import Drift, Row, Table
from stockifyd_postgres.inquiry import Key
from stockifyd_postgres.lookup_options import LookupOptions
from stockifyd_postgres.names import guess
from stockifyd_postgres.values import TIMES

NUMBER = "double precision"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The rows beside one batch: the types of the `match` columns, and the rows of each key with their times."""

    kinds: tuple[str, ...]
    rows: Mapping[Key, Sequence[tuple[datetime | None, Row]]]

    def answers(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """What is found, by key; of the rows in a key's span of time the newest."""
        found = ((key, self._newest(key)) for key in keys)
        return {key: row for key, row in found if row is not None}

    def _newest(self, key: Key) -> Row | None:
        count = len(self.kinds)
        there, span = self.rows.get(tuple(map(_plain, key[:count])), ()), key[count:]
        if span:
            low, high = span
            there = sorted(((at, row) for at, row in there if at is not None and low < at <= high), key=itemgetter(0))
        return there[-1][1] if there else None


class Rehearsal:
    """Rows of a test file. ValueError where a table could not have them, or the lookup would not look at them."""

    def __init__(self, options: LookupOptions, rows: Sequence[Mapping[str, Any]]) -> None:
        self._options, self._rows = options, rows
        self._beside = {theirs: ours for ours, theirs in options.match.items()}
        """Columns of the batch that hold what a column of the table holds, where the names may differ."""
        if options.as_of is not None:
            self._beside[options.as_of.column] = options.as_of.time
        self._times = [_checked(row, index, options) for index, row in enumerate(rows)]
        seen: dict[tuple[Any, ...], int] = {}
        for index, (row, at) in enumerate(zip(rows, self._times, strict=True)):
            key = (*(_plain(row[name]) for name in options.match.values()), at)
            if None not in key[:-1] and (first := seen.setdefault(key, index)) != index:
                raise ValueError(f"has the key of row {first}, which no unique key allows - at `$[{index}]`")

    def beside(self, table: Table) -> Rehearsed:
        """The rows as values like those of a batch's table. Drift where a text is no date or time, which the batch has there."""
        options = self._options
        match = [self._column(theirs, _values(table, ours)) for ours, theirs in options.match.items()]
        wanted = [self._column(name, _values(table, self._beside.get(name, name)))[1] for name in options.columns]
        rows = defaultdict[Key, list[tuple[datetime | None, Row]]](list)
        for index, at in enumerate(self._times):
            key = tuple(_plain(values[index]) for _, values in match)
            if None not in key:  # nothing is equal to null
                rows[key].append((at, tuple(values[index] for values in wanted)))
        return Rehearsed(tuple(kind for kind, _ in match), rows)

    def _column(self, name: str, ours: Sequence[Any]) -> tuple[str, list[Any]]:
        """The type of a column beside these values of the batch, and what it has, read as that type."""
        values = [row.get(name) for row in self._rows]
        times = [value for value in ours if isinstance(value, date)]
        if not times:
            return _kind(values, ours), values
        kind = "date" if not isinstance(times[0], datetime) else TIMES[times[0].tzinfo is None]
        return kind, list(_read(values, kind, name=name))


def _checked(row: Mapping[str, Any], index: int, options: LookupOptions) -> datetime | None:
    """The time of a row by which it is newer than others; None where nobody asks. ValueError where the row cannot be."""
    as_of, match = options.as_of, tuple(options.match.values())
    known = tuple(dict.fromkeys([*match, *([as_of.column] if as_of else []), *options.columns]))
    for name in row:
        if name not in known:
            there = guess(name, known) or f" (there are {', '.join(known)})"
            raise ValueError(f"the lookup asks {options.source!r} for no column {name!r}{there} - at `$[{index}].{name}`")
    for name in known[: len(match) + bool(as_of)]:
        if name not in row:
            raise ValueError(f"a row without {name!r}, by which it is found - at `$[{index}]`")
    if several := [name for name in match if isinstance(row[name], (list, dict))]:
        raise ValueError(f"a list or mapping, by which no row is found - at `$[{index}].{several[0]}`")
    return _time(row[as_of.column], f"[{index}].{as_of.column}") if as_of else None


def _time(value: Any, place: str) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{value!r} is no time with an offset, such as 2026-11-24T09:15:00+05:30 - at `${place}`")
    return at


def _values(table: Table, name: str) -> list[Any]:
    if name not in table.columns:
        return []
    place = table.columns.index(name)
    return [row[place] for row in table.rows]


def _kind(values: Sequence[Any], ours: Sequence[Any]) -> str:
    """What the values are, or, where there is none, what those of the batch are."""
    for value in (*values, *ours):
        if value is not None:
            return "boolean" if isinstance(value, bool) else NUMBER if isinstance(value, (int, float, Decimal)) else "text"
    return "text"


def _read(values: Sequence[Any], kind: str, *, name: str) -> Iterator[Any]:
    read: Callable[[str], Any] = date.fromisoformat if kind == "date" else datetime.fromisoformat
    for index, value in enumerate(values):
        try:
            at = None if value is None else read(value)
        except (TypeError, ValueError):
            at = ""
        if at == "" or (isinstance(at, datetime) and TIMES[at.tzinfo is None] != kind):
            raise Drift(f"row {index} of the test file: {name!r} is {value!r}, not {kind}, which the batch has there")
        yield at


def _plain(value: Any) -> Any:
    """Numbers as the decimals they are written as, so that 24000 is 24000.0 whatever has it."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(repr(value))
    return value
