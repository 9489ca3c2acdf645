"""The table a component is told to work on: looked up before the first message, and in each batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated

from msgspec import Meta

from stockifyd.api import Batch, Drift, Table, Tables

Word = Annotated[str, Meta(min_length=1)]


def foretold(tables: Tables, name: str) -> Sequence[str]:
    """The columns that a table will have, none where they are not known; ValueError if there will be no such table."""
    if name not in tables:
        raise ValueError(f"table: no table {name!r} arrives here; {suggestion(name, tables) or 'no transform before makes one'}")
    return tables[name]


def arrived(batch: Batch, name: str) -> Table:
    """The table of a batch; Drift if there is none."""
    if name not in batch.tables:
        hint = suggestion(name, batch.tables) or "a transform before must make it, such as `flatten`"
        raise Drift(f"no table {name!r} arrives here", hint=hint)
    return batch.tables[name]


def missing(column: str, there: Iterable[str]) -> str:
    """What is said of a column that is not there."""
    return f"no column {column!r}; {suggestion(column, there)}"


def suggestion(wanted: str, there: Iterable[str]) -> str:
    """The likeliest of what is there, else all of it."""
    known = list(there)
    close = get_close_matches(wanted, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(map(repr, sorted(known)))}" if known else ""
