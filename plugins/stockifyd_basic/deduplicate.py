"""The transform `deduplicate`: rows whose key came a short while ago are left out."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import Batch, Config, Context, Drift, Partition, Reject, Row, Table, Tables, Transform
from stockifyd_basic.arriving import Word, arrived, foretold, missing

Place = tuple[int, int]
"""Where a row came: its message's offset, and its number in the message."""


class DeduplicateOptions(Config, frozen=True):
    """What makes two rows the same, and how long that is remembered."""

    table: Annotated[Word, Meta(description="The table to work on.", examples=["options"])]
    key: Annotated[
        list[Word],
        Meta(
            min_length=1, description="Columns in which two rows must agree to be the same.", examples=[["timestamp", "strike"]]
        ),
    ]
    window_max_keys: Annotated[
        int, Meta(ge=1, description="Keys that are remembered of each partition; the oldest is forgotten for a new one.")
    ] = 10_000


class Deduplicate(Transform[DeduplicateOptions]):
    """Leaves out rows whose key an earlier row of the same partition had, within the last `window_max_keys` keys.

    Best effort: what is remembered is lost at a restart, a reload and when a partition changes hands; then a row may pass that
    came before. It never leaves out a row whose key has not gone on before. Two partitions are never compared.
    """

    type = "deduplicate"

    def __init__(self, config: DeduplicateOptions, context: Context) -> None:
        super().__init__(config, context)
        self._seen: dict[Partition, dict[Any, Place]] = {}
        self._keys: dict[tuple[str, ...], Callable[[Row], Any]] = {}

    def apply(self, batch: Batch) -> Batch:
        """The table without the rows that came before."""
        table = arrived(batch, self.config.table)
        try:
            key_of = self._key_of(table.columns)
        except ValueError as error:
            raise Drift(str(error), hint="correct the spec, or the transform before it") from error
        rows, ends, refused = list[Row](), list[int](), dict[int, str | Reject]()
        for index, message in enumerate(batch.messages):
            partition, offset = message.position
            try:
                rows += self._fresh(partition, offset, [(key_of(row), row) for row in table.of_message(index)])
            except TypeError:
                refused[index] = f"key: a value of {', '.join(self.config.key)} cannot be compared (a list or an object)"
            ends.append(len(rows))
        return batch.with_table(self.config.table, Table(table.columns, rows, ends)).reject(refused)

    def tables(self, before: Tables) -> Tables:
        """Those that come in."""
        if there := foretold(before, self.config.table):
            self._key_of(tuple(there))
        return before

    def _key_of(self, columns: tuple[str, ...]) -> Callable[[Row], Any]:
        if columns not in self._keys:
            for name in self.config.key:
                if name not in columns:
                    raise ValueError(f"key: table {self.config.table!r} has {missing(name, columns)}")
            self._keys[columns] = itemgetter(*map(columns.index, self.config.key))
        return self._keys[columns]

    def _fresh(self, partition: Partition, offset: int, keyed: list[tuple[Any, Row]]) -> list[Row]:
        """The rows of one message whose key came with no row before them.

        Before them, not merely once: after a rewind the same messages come again, and must go on again.
        """
        for key, _ in keyed:
            hash(key)  # of a message with a key that cannot be remembered nothing is remembered
        seen, fresh = self._seen.setdefault(partition, {}), list[Row]()
        for number, (key, row) in enumerate(keyed):
            place = (offset, number)
            if seen.get(key, place) >= place:
                fresh.append(row)
                seen[key] = place
                if len(seen) > self.config.window_max_keys:
                    del seen[next(iter(seen))]
        return fresh
