"""Conditions in SQL over named values, evaluated by an SQLite that has no data, no subqueries and few functions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

import msgspec

from stockifyd.api import Row
from stockifyd_basic.refusal import Refusal, WrongExpressionError, balanced, misquoted, unknown_column

# No clock and no chance: the same row gives the same answer. Nothing that makes long texts out of short ones.
FUNCTIONS = frozenset(
    {
        *("abs", "ceil", "floor", "max", "min", "round", "sign"),
        *("coalesce", "ifnull", "iif", "nullif", "typeof"),
        *("glob", "hex", "instr", "length", "like", "lower", "ltrim", "rtrim", "substr", "substring", "trim", "unicode", "upper"),
        *("->", "->>", "json", "json_array_length", "json_extract", "json_type", "json_valid"),
    }
)
CHUNK_ROWS = 100
"""Rows of one statement: more gain nothing."""
CHUNK_VALUES = 900
"""Every SQLite takes so many."""
MANY = 200
"""Names in one expression."""

_NUMBER = '"#"'
_PLAIN = {int, float, str, bytes, bool, type(None)}
_TIMES = {datetime, date, type(None)}
_UNFIT = object()
"""In place of a value that cannot be given to SQLite, which refuses it."""
_ERRORS = (sqlite3.Error, OverflowError, UnicodeEncodeError)


def check(text: str) -> None:
    """Whether it is an expression, whatever the names in it stand for. WrongExpressionError says what is wrong, and where."""
    balanced(text)
    names: list[str] = []
    while len(names) < MANY:
        try:
            _references(text, names)
        except WrongExpressionError as error:
            if not error.unknown:
                raise
            names.append(error.unknown)
        else:
            return
    raise WrongExpressionError(f"more than {MANY} names")


class Condition:
    """A condition over rows with certain columns. WrongExpressionError where it names a column that is not there."""

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        balanced(text)
        misquoted(text, columns)
        self._text = text
        self._used = [columns.index(name) for name in _references(text, columns)]
        self._names = [columns[place] for place in self._used]
        self._chunk = max(1, min(CHUNK_ROWS, CHUNK_VALUES // (len(self._used) + 1)))
        self._many, self._one = self._query(self._chunk), self._query(1)
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of SQLite."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def judge(self, rows: Sequence[Row]) -> tuple[list[int], dict[int, str]]:
        """The places, rising, of the rows of which it is true; and those that it cannot be asked of, with the reason."""
        values = list(zip(range(len(rows)), *(_values([row[place] for row in rows]) for place in self._used), strict=True))
        kept, refused = list[int](), dict[int, str]()
        for start in range(0, len(values), self._chunk):
            part = values[start : start + self._chunk]
            try:
                kept += self._true_of(part)
            except _ERRORS:
                kept += self._one_by_one(part, refused)
        return kept, refused

    def _one_by_one(self, part: Sequence[Row], refused: dict[int, str]) -> list[int]:
        kept = list[int]()
        for row in part:
            try:
                kept += self._true_of([row])
            except _ERRORS as error:
                refused[row[0]] = _reason(error)
        return kept

    def _true_of(self, part: Sequence[Row]) -> list[int]:
        query, size = (self._one, 1) if len(part) == 1 else (self._many, self._chunk)
        padding = (None,) * ((size - len(part)) * (len(self._used) + 1))
        found = self._connection().execute(query, (*chain.from_iterable(part), *padding)).fetchall()
        return sorted(number for (number,) in found)

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        return self._db

    def _query(self, rows: int) -> str:
        columns = ", ".join([_NUMBER, *map(_quoted, self._names)])
        row = f"({', '.join('?' * (len(self._used) + 1))})"
        values = ", ".join([row] * rows)
        condition = f"{_NUMBER} IS NOT NULL AND ({self._text}\n)"
        return f"WITH t({columns}) AS (VALUES {values}) SELECT {_NUMBER} FROM t WHERE {condition}"  # noqa: S608  it was checked


class _Authoriser:
    """Asked by SQLite for all that a statement does: it may read columns and call the functions above, in one SELECT."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._there = {name.casefold(): name for name in columns}
        self._selects = 0
        self.read: dict[str, None] = {}

    def __call__(self, action: int, _one: str | None, two: str | None, _database: str | None, _inner: str | None) -> int:
        name = (two or "").casefold()
        if action == sqlite3.SQLITE_READ:
            if name in self._there:
                self.read[self._there[name]] = None
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_SELECT:
            self._selects += 1
        allowed = (
            self._selects == 1 if action == sqlite3.SQLITE_SELECT else action == sqlite3.SQLITE_FUNCTION and name in FUNCTIONS
        )
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _references(text: str, columns: Sequence[str]) -> list[str]:
    """The columns that an expression reads; WrongExpressionError where SQLite does not take it."""
    with closing(_table(columns)) as db:
        authoriser = _Authoriser(columns)
        db.set_authorizer(authoriser)
        if (error := _refused(db, f"{text}\n)")) is None:
            return list(authoriser.read)
        if unknown := unknown_column(str(error)):
            raise WrongExpressionError.of_column(text, unknown, columns) from error
        refusal = Refusal(text, FUNCTIONS, lambda beginning: str(_refused(db, beginning) or ""))
        raise refusal.explained(str(error)) from error


def _refused(db: sqlite3.Connection, condition: str) -> Exception | None:
    try:
        db.execute(f"EXPLAIN SELECT 1 FROM t WHERE ({condition}")  # noqa: S608  by what the authoriser allows
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        return error
    return None


def _table(columns: Sequence[str]) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        # Without rowid, which would be a column that nobody made.
        db.execute(f"CREATE TABLE t({', '.join([f'{_NUMBER} PRIMARY KEY', *map(_quoted, columns)])}) WITHOUT ROWID")
    except sqlite3.Error as error:
        db.close()
        raise WrongExpressionError(f"SQLite cannot have these columns: {error}") from error
    return db


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _values(column: list[Any]) -> list[Any]:
    """A column as SQLite takes it: times and dates as ISO 8601, which sorts as they do; lists and objects as JSON."""
    kinds = set(map(type, column))
    if kinds <= _PLAIN:
        return column
    if not kinds <= _TIMES:
        return [_value(value) for value in column]
    texts = {value: _value(value) for value in set(column)}  # rows of a message have their time in common
    return [texts[value] for value in column]


def _value(value: Any) -> Any:
    try:
        return value if type(value) in _PLAIN else _plain(value)
    except (ValueError, OverflowError, RecursionError):  # a signalling NaN, a time beyond the years, a list within itself
        return _UNFIT


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return msgspec.json.encode(value, enc_hook=str).decode()


def _reason(error: Exception) -> str:
    if isinstance(error, OverflowError):
        return "a number beyond 8 bytes"
    if isinstance(error, UnicodeEncodeError):
        return "a lone surrogate in a text"
    if isinstance(error, (sqlite3.InterfaceError, sqlite3.ProgrammingError)):
        return "a value that SQLite cannot hold"
    return str(error)  # SQLite's own words: they hold no values
