"""Rows of a YAML file into a table, by its primary key: what people keep in a file and queries join with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockifyd.api import Drift
from stockifyd_postgres.catalogue import Name
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.names import listed, qualified, quote
from stockifyd_postgres.options import target_of

KEY = """SELECT array_agg(a.attname::text ORDER BY k.at)
FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(number, at)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE i.indrelid = to_regclass($1) AND i.indisprimary"""
FORM = "a file of `version: 1` and, under the table's name, a list of rows"
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Reference:
    """A table, and the rows that it shall have; rows of it that are not in the file stay."""

    target: Name
    path: str
    rows: Rows

    @classmethod
    def read(cls, asked: str) -> Reference:
        """Of `TABLE=FILE`; Drift where the file cannot be read or is not of the form."""
        table, _, path = asked.partition("=")
        target = target_of(table)
        if not target[1] or not path:
            raise Drift(f"--load {asked!r} names no table or no file", hint="say TABLE=FILE or SCHEMA.TABLE=FILE")
        return cls(target, path, _rows(path, target[1]))

    async def load(self, transaction: Transaction) -> str:
        """Insert what is new, update what differs; answers with what to tell."""
        name = qualified(self.target)
        key = await transaction.value(KEY, name)
        if not key:
            raise Drift(f"table {name} is not there, or has no primary key", hint="--load needs both")
        changed = await transaction.execute(statement(self.target, key, self.rows), json.dumps(self.rows))
        return f"  {'.'.join(self.target)}: {len(self.rows)} rows of {self.path}, {changed} new or changed"


def statement(target: Name, key: list[str], rows: Rows) -> str:
    """The upsert; its argument is the rows as JSON. What is the same is not written."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if absent := [name for name in key if name not in columns]:
        raise Drift(f"column {absent[0]!r} of the key of {qualified(target)} is in no row", hint=FORM)
    into = f"INSERT INTO {qualified(target)} AS t ({listed(columns)})"
    given = f"SELECT {listed(columns)} FROM json_populate_recordset(NULL::{qualified(target)}, $1::json)"  # noqa: S608 - quoted
    others = [name for name in columns if name not in key]
    if not others:
        return f"{into} {given} ON CONFLICT ({listed(key)}) DO NOTHING"
    update = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in others)
    old, new = (", ".join(f"{side}.{quote(name)}" for name in others) for side in ("t", "excluded"))
    return f"{into} {given} ON CONFLICT ({listed(key)}) DO UPDATE SET {update} WHERE ({old}) IS DISTINCT FROM ({new})"


def _rows(path: str, name: str) -> Rows:
    import yaml  # noqa: PLC0415  every start of stockifyd would import it

    try:
        # Scalars as they are written: what they mean is decided by the column, not by YAML (a symbol may be called NO).
        found = yaml.load(Path(path).read_bytes(), Loader=yaml.BaseLoader)  # noqa: S506  it makes text, lists and mappings alone
    except OSError as error:
        raise Drift(f"{path!r} cannot be read: {error.strerror}", hint=f"--load takes {FORM}") from error
    except yaml.YAMLError as error:
        raise Drift(f"{path}: this is no YAML", hint=f"--load takes {FORM}") from error
    rows = found.get(name) if isinstance(found, Mapping) and found.get("version") == "1" else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) and row for row in rows):
        raise Drift(f"{path}: no `version: 1` with a list {name!r} of rows in it", hint=f"--load takes {FORM}")
    return [dict(_values(path, name, index, row)) for index, row in enumerate(rows)]


def _values(path: str, name: str, index: int, row: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for column, value in row.items():
        if not isinstance(value, str):
            raise Drift(f"{path}: {name}[{index}].{column}: a list or a mapping", hint="a column takes one value")
        yield column, None if value in ("", "~", "null") else value
