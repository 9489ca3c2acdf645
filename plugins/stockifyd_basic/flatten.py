"""The transform `flatten`: JSON of any shape becomes rows of a table, by a description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from stockifyd.api import Batch, Config, Context, Message, Reject, Row, Table, Tables, Transform
from stockifyd_basic.decoding import value_of
from stockifyd_basic.paths import Path
from stockifyd_basic.typed import Cell, Typed
from stockifyd_basic.values import ColumnType, Convert, UnfitError, converter, kind_of

Name = Annotated[str, Meta(pattern="^[a-z_][a-z0-9_]{0,62}$")]


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a column's value is, and of what type."""

    path: Annotated[
        str,
        Meta(description="Path from the item (`greeks.iv`; `.` is the item) or the message (`$.symbol`); default: the name."),
    ] = msgspec.field(default="", name="from")
    type: Annotated[ColumnType, Meta(description="Strict: 1.5 is no int, true is no number, a time has an offset.")]
    required: Annotated[bool, Meta(description="Reject a message in which it is missing or null; else it becomes null.")] = True
    default: Annotated[
        str | int | float | bool | None, Meta(description="In place of a missing or null value, though it be required.")
    ] = None


class FlattenOptions(Config, frozen=True):
    """The table, and where its values are."""

    table: Annotated[Name, Meta(description="Name of the table that is made.")]
    columns: Annotated[dict[Name, Column], Meta(min_length=1, description="The table's columns, in order.")]
    each: Annotated[
        str | None, Meta(description="Path to a list in the message: one row for each item; default: one row for each message.")
    ] = None
    timezone: Annotated[
        str | None, Meta(description="What a time without an offset means; default: it is refused.", examples=["Asia/Kolkata"])
    ] = None

    def __post_init__(self) -> None:
        """Refuse paths, defaults and time zones that can never work."""
        try:
            zone = ZoneInfo(self.timezone) if self.timezone else None
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"timezone: {self.timezone!r} is unknown; write one such as Asia/Kolkata") from error
        if self.each is not None:
            Path.parse(self.each)
        for name, column in self.columns.items():
            Path.parse(column.path or name)
            try:
                _Cell(name, column, converter(column.type, zone))
            except UnfitError as error:
                raise ValueError(f"columns.{name}.default: {error}") from error


class Flatten(Transform[FlattenOptions]):
    """Turns JSON into rows of one table: `each` names the list, `columns` the values and their types.

    A message with anything wrong in it is rejected whole. `message.value` stays as it came.
    """

    type = "flatten"

    def __init__(self, config: FlattenOptions, context: Context) -> None:
        super().__init__(config, context)
        zone = ZoneInfo(config.timezone) if config.timezone else None
        self._cells = [_Cell(name, column, converter(column.type, zone)) for name, column in config.columns.items()]
        self._each = None if config.each is None else Path.parse(config.each)
        self._decoder = msgspec.json.Decoder[Any]()
        self._typed = None if zone else Typed.of([cell.typed for cell in self._cells], self._each)

    async def apply(self, batch: Batch) -> Batch:
        """Add the table."""
        columns = tuple(self.config.columns)
        if self._typed is not None and (rows := await self._typed.one_each(batch.messages)) is not None:
            return batch.with_table(self.config.table, Table(columns, rows, list(range(1, len(rows) + 1))))
        return batch.flatten(self.config.table, columns, self._rows)

    def tables(self, before: Tables) -> Tables:
        """Those that come in, and this one."""
        return {**before, self.config.table: tuple(self.config.columns)}

    def _rows(self, message: Message) -> Iterable[Row]:
        if self._typed is not None and message.value is None and (rows := self._typed.rows(message.raw)) is not None:
            return rows
        return self._plain_rows(message)

    def _plain_rows(self, message: Message) -> Iterator[Row]:
        root = value_of(message, self._decoder)
        for above, item in self._items(root):
            yield tuple([cell.value(root, item, above) for cell in self._cells])

    def _items(self, root: Any) -> Iterator[tuple[str, Any]]:
        if self._each is None:
            yield "", root
            return
        items, path = self._each.find(root, ""), self._each.under("")
        if not isinstance(items, list | tuple):
            raise Reject(f"{path}: expected a list, got {kind_of(items)}")
        for index, item in enumerate(items):
            yield f"{path}[{index}]", item


class _Cell:
    """One column, ready to read: its path parsed, its default converted."""

    __slots__ = ("_convert", "_default", "_path", "_required", "_type")

    def __init__(self, name: str, column: Column, convert: Convert) -> None:
        self._path, self._convert, self._type = Path.parse(column.path or name), convert, column.type
        self._required = column.required and column.default is None
        self._default = None if column.default is None else convert(column.default)

    @property
    def typed(self) -> Cell:
        """As the quick way needs it, which knows no defaults."""
        kind: ColumnType = self._type if self._default is None else "json"
        return Cell(self._path, kind, self._required)

    def value(self, root: Any, item: Any, above: str) -> Any:
        start, above = (root, "") if self._path.from_root else (item, above)
        found = self._path.find(start, above)
        if found is None:
            if self._required:
                raise Reject(f"{self._path.under(above)}: missing or null")
            return self._default
        try:
            return self._convert(found)
        except UnfitError as error:
            raise Reject(f"{self._path.under(above)}: {error}") from error
