"""The transform `select`: the columns of a table that go on, their order and their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Annotated, NamedTuple

from msgspec import Meta, field

from stockifyd.api import Batch, Config, Context, Drift, Row, Table, Tables, Transform
from stockifyd_basic.arriving import Word, arrived, foretold, missing


class SelectOptions(Config, frozen=True):
    """Which columns go on, and what they are called then."""

    table: Annotated[Word, Meta(description="The table to work on.", examples=["options"])]
    columns: Annotated[
        list[Word] | None, Meta(description="The columns that go on, in this order; default: all, but those of `drop`.")
    ] = None
    drop: Annotated[tuple[Word, ...], Meta(description="Columns that do not go on; not together with `columns`.")] = ()
    rename: Annotated[dict[Word, Word], Meta(description="Columns that go on under another name: `old: new`.")] = field(
        default_factory=dict
    )
    into: Annotated[Word | None, Meta(description="Make a table of this name beside the old one; default: in its place.")] = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.columns is not None and self.drop:
            raise ValueError("drop: not together with `columns`, which says already what goes on")
        if self.columns is not None and not self.columns:
            raise ValueError("columns: a table needs one column at least")
        if twice := _twice(self.columns or ()):
            raise ValueError(f"columns: {twice!r} stands there twice")
        for old in self.rename:
            if old in self.drop or (self.columns is not None and old not in self.columns):
                raise ValueError(f"rename: {old!r} does not go on")


class Plan(NamedTuple):
    """What is made of rows with certain columns."""

    columns: tuple[str, ...]
    pick: Callable[[Row], Row] | None
    """None where rows stay as they are."""


class Select(Transform[SelectOptions]):
    """Keeps some columns of a table, in the order given, and renames them."""

    type = "select"

    def __init__(self, config: SelectOptions, context: Context) -> None:
        super().__init__(config, context)
        self._plans: dict[tuple[str, ...], Plan] = {}

    def apply(self, batch: Batch) -> Batch:
        """Put the selected table in the place of the old one, or beside it."""
        table = arrived(batch, self.config.table)
        try:
            columns, pick = self._plan(table.columns)
        except ValueError as error:
            raise Drift(str(error), hint="correct the spec, or the transform before it") from error
        rows = table.rows if pick is None else [pick(row) for row in table.rows]
        return batch.with_table(self._into, Table(columns, rows, table.ends))

    def tables(self, before: Tables) -> Tables:
        """Those that come in, with this one changed or added."""
        there = foretold(before, self.config.table)
        return {**before, self._into: self._plan(tuple(there)).columns if there else ()}

    @property
    def _into(self) -> str:
        return self.config.into or self.config.table

    def _plan(self, there: tuple[str, ...]) -> Plan:
        if there not in self._plans:
            self._plans[there] = _plan(self.config, there)
        return self._plans[there]


def _plan(config: SelectOptions, there: tuple[str, ...]) -> Plan:
    named: Mapping[str, Sequence[str]] = {
        "columns": config.columns or (),
        "drop": config.drop,
        "rename": tuple(config.rename),
    }
    for option, names in named.items():
        for name in names:
            if name not in there:
                raise ValueError(f"{option}: table {config.table!r} has {missing(name, there)}")
    chosen = config.columns or [name for name in there if name not in config.drop]
    columns = tuple(config.rename.get(name, name) for name in chosen)
    if not columns:
        raise ValueError(f"drop: no column of table {config.table!r} is left")
    if twice := _twice(columns):
        raise ValueError(f"rename: two columns are called {twice!r} then")
    return Plan(columns, None if tuple(chosen) == there else _picker([there.index(name) for name in chosen]))


def _picker(places: list[int]) -> Callable[[Row], Row]:
    if len(places) == 1:
        (place,) = places
        return lambda row: (row[place],)
    return itemgetter(*places)


def _twice(names: Sequence[str]) -> str:
    return next((name for place, name in enumerate(names) if name in names[:place]), "")
