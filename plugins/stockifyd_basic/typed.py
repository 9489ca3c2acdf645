"""The quick way of `flatten`: JSON decoded straight into the columns' types. What it does not take, the plain way looks at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta
from msgspec.structs import astuple

from stockifyd.api import Message, Row
from stockifyd_basic.paths import Path
from stockifyd_basic.values import INT4, INT8, ColumnType

TYPES: Mapping[ColumnType, Any] = {
    "int": Annotated[int, Meta(ge=INT4.start, le=INT4.stop - 1)],
    "bigint": Annotated[int, Meta(ge=INT8.start, le=INT8.stop - 1)],
    "float": float,
    "text": str,
    "bool": bool,
    "date": date,
    "timestamp": Annotated[datetime, Meta(tz=True)],
}
NOT_TAKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)
EACH = "each"
AT_A_TIME = 250
"""Messages between two turns of the event loop, a quarter of a millisecond: the batch before these is being sent meanwhile."""


class Cell(NamedTuple):
    """A column: where its value is, its type, and whether it must be there."""

    path: Path
    type: ColumnType
    required: bool


class Typed:
    """Rows of one message, or None where the plain way must decide. Made by `of`."""

    def __init__(self, root: type[msgspec.Struct], cells: Sequence[Cell], order: Sequence[int], *, has_items: bool) -> None:
        self._decoder = msgspec.json.Decoder(root)
        self._has_items = has_items
        self._ordered = None if list(order) == sorted(order) else itemgetter(*order)
        self._times = [at for at, cell in enumerate(cells) if cell.type == "timestamp"]
        self._texts = [at for at, cell in enumerate(cells) if cell.type == "text"]

    @classmethod
    def of(cls, cells: Sequence[Cell], each: Path | None) -> Typed | None:
        """None where a path leads deeper than one name, two columns have one path, or a type is not simple."""
        paths = [cell.path for cell in cells]
        if not all(_is_simple(path) for path in (*paths, *([each] if each else []))):
            return None
        if len(set(paths)) < len(paths) or any(cell.type not in TYPES for cell in cells):
            return None
        above = [at for at, cell in enumerate(cells) if each is None or cell.path.from_root]
        below = [at for at in range(len(cells)) if at not in above]
        fields = [_field(at, cells[at]) for at in above]
        names = {f"c{at}": cells[at].path.steps[0] for at in above}
        if each is not None:
            if each.steps[0] in names.values():
                return None
            item = msgspec.defstruct(
                "Item", [_field(at, cells[at]) for at in below], kw_only=True, rename=_named(cells), gc=False
            )
            fields.append((EACH, list[item]))  # type: ignore[valid-type]
            names[EACH] = each.steps[0]
        root = msgspec.defstruct("Root", fields, kw_only=True, rename=names, gc=False)
        placed = [*above, *below]
        return cls(root, cells, [placed.index(at) for at in range(len(cells))], has_items=each is not None)

    async def one_each(self, messages: Sequence[Message]) -> list[Row] | None:
        """A row of each message, many at a time; None where they have lists, or anything is amiss with any: one by one, then."""
        if self._has_items:
            return None
        rows: list[Row] = []
        for start in range(0, len(messages), AT_A_TIME):
            found = self._one_of_each(messages[start : start + AT_A_TIME])
            if found is None:
                return None
            rows += found
            await asyncio.sleep(0)
        return rows

    def _one_of_each(self, messages: Sequence[Message]) -> list[Row] | None:
        decode = self._decoder.decode
        try:
            rows = [astuple(decode(message.raw)) for message in messages if message.value is None and message.raw.isascii()]
        except NOT_TAKEN:
            return None
        if len(rows) < len(messages):
            return None
        return self._finished(list(map(self._ordered, rows)) if self._ordered is not None else rows)

    def rows(self, raw: bytes) -> list[Row] | None:
        """The rows, equal to those of the plain way."""
        try:
            if not raw.isascii():
                raw.decode()  # msgspec skips what no column asks for, and does not look whether that is text
            values = astuple(self._decoder.decode(raw))
            if not self._has_items:
                found = [values]
            else:
                *above, items = values
                found = [(*above, *astuple(item)) for item in items]
            if self._ordered is not None:
                found = list(map(self._ordered, found))
            return self._finished(found)
        except NOT_TAKEN:
            return None

    def _finished(self, rows: list[Row]) -> list[Row] | None:
        """Times in UTC; None where a text has a character that no table can hold, or might."""
        for at in self._texts:
            for row in rows:
                if (text := row[at]) is not None and not (text.isascii() and "\0" not in text):
                    return None
        try:
            for at in self._times:
                if any((time := row[at]) is not None and time.tzinfo is not UTC for row in rows):
                    rows = [row if _is_utc(row[at]) else (*row[:at], row[at].astimezone(UTC), *row[at + 1 :]) for row in rows]
        except OverflowError:  # near the first year, or the last
            return None
        return rows


def _is_utc(time: datetime | None) -> bool:
    return time is None or time.tzinfo is UTC


def _is_simple(path: Path) -> bool:
    return len(path.steps) == 1


def _named(cells: Sequence[Cell]) -> Mapping[str, str]:
    return {f"c{at}": cell.path.steps[0] for at, cell in enumerate(cells)}


def _field(at: int, cell: Cell) -> Any:
    """As `defstruct` takes it."""
    kind = TYPES[cell.type]
    return (f"c{at}", kind) if cell.required else (f"c{at}", kind | None, None)
