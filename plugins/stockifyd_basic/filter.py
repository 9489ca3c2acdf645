"""The transform `filter`: rows of a table, or whole messages, that a condition is true of."""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from stockifyd.api import Batch, Config, Context, Drift, Message, Reject, Row, Table, Tables, Transform
from stockifyd_basic.arriving import Word, arrived, foretold
from stockifyd_basic.decoding import value_of
from stockifyd_basic.expression import Condition, check
from stockifyd_basic.paths import Path

ABOUT_A_MESSAGE = ("topic", "partition", "offset", "timestamp_ms", "key")
"""What a condition may name of every message, beside `fields`."""


class FilterOptions(Config, frozen=True):
    """What goes on."""

    where: Annotated[
        str,
        Meta(
            description="What goes on: a condition in SQL, as SQLite has it, over columns or `fields`. Null is neither true nor"
            " false: it does not go on.",
            examples=["topic = 'quotes' AND timestamp_ms > 0"],
        ),
    ]
    table: Annotated[Word | None, Meta(description="The table whose rows are asked; default: whole messages are.")] = None
    fields: Annotated[
        dict[Word, str],
        Meta(description="Of whole messages: names for values in them, by path as in `flatten` (`symbol: data.symbol`)."),
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a condition that is none, and names that mean nothing."""
        if self.table is not None and self.fields:
            raise ValueError("fields: not together with `table`, whose columns have names")
        for name, path in self.fields.items():
            if name in ABOUT_A_MESSAGE:
                raise ValueError(f"fields: {name!r} is there already, of the message itself")
            Path.parse(path or name)
        try:
            check(self.where)
            if self.table is None:
                Condition(self.where, (*ABOUT_A_MESSAGE, *self.fields))
        except ValueError as error:
            raise ValueError(f"where: {error}") from error


class Filter(Transform[FilterOptions]):
    """Lets rows of a table, or whole messages, go on where a condition is true.

    What does not go on is gone: it is no dead letter. A message that the condition cannot be asked of is one.
    """

    type = "filter"

    def __init__(self, config: FilterOptions, context: Context) -> None:
        super().__init__(config, context)
        self._conditions: dict[tuple[str, ...], Condition] = {}
        self._paths = [Path.parse(path or name) for name, path in config.fields.items()]
        self._decoder = msgspec.json.Decoder[Any]()

    def apply(self, batch: Batch) -> Batch:
        """What is left of the batch."""
        if self.config.table is None:
            return self._messages(batch)
        table = arrived(batch, self.config.table)
        try:
            condition = self._condition(table.columns)
        except ValueError as error:
            raise Drift(str(error), hint="correct the spec, or the transform before it") from error
        kept, why = condition.judge(table.rows)
        ends = [bisect_left(kept, end) for end in table.ends]
        after = batch.with_table(self.config.table, Table(table.columns, [table.rows[place] for place in kept], ends))
        return after.reject({table.message_of(place): f"where: {reason}" for place, reason in why.items()})

    def tables(self, before: Tables) -> Tables:
        """Those that come in."""
        if self.config.table is not None and (there := foretold(before, self.config.table)):
            self._condition(tuple(there)).close()
        return before

    async def close(self) -> None:
        """Let go of SQLite."""
        for condition in self._conditions.values():
            condition.close()

    def _condition(self, columns: tuple[str, ...]) -> Condition:
        if columns not in self._conditions:
            try:
                self._conditions[columns] = Condition(self.config.where, columns)
            except ValueError as error:
                raise ValueError(f"where: {error}") from error
        return self._conditions[columns]

    def _messages(self, batch: Batch) -> Batch:
        rows, places, refused = list[Row](), list[int](), dict[int, str | Reject]()
        for place, message in enumerate(batch.messages):
            try:
                rows.append(self._row(message))
                places.append(place)
            except Reject as why:
                refused[place] = why
        kept, unclear = self._condition((*ABOUT_A_MESSAGE, *self.config.fields)).judge(rows)
        refused |= {places[place]: f"where: {reason}" for place, reason in unclear.items()}
        left = sorted([*(places[place] for place in kept), *refused])
        return batch.keep(left).reject({left.index(place): why for place, why in refused.items()})

    def _row(self, message: Message) -> Row:
        (topic, number, _), offset = message.position
        key = None if message.key is None else message.key.decode(errors="replace")
        about = (topic, number, offset, message.timestamp_ms, key)
        if not self._paths:
            return about
        value = value_of(message, self._decoder)
        return (*about, *(path.find(value, "") for path in self._paths))
