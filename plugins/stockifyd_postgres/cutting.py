"""Rows in order become messages: one for each time and group, cut where it would be too big."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from stockifyd.api import Drift, Message, Partition, Position
from stockifyd_postgres.positions import MESSAGES, Day
from stockifyd_postgres.question import Question
from stockifyd_postgres.source_options import PostgresSourceOptions

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Cutter:
    """The messages of one day. `feed` takes rows as they come, from the first one of some time on."""

    options: PostgresSourceOptions
    question: Question
    day: Day
    partition: Partition
    _group: tuple[Any, ...] = ()
    """The time as the column has it, and the values of `message_by`."""
    _rows: list[str] = field(default_factory=list)
    _at: datetime = EPOCH
    _number: int = 0

    def feed(self, rows: Sequence[Any]) -> Iterator[Message]:
        """Messages that are whole: what the last rows belong to may have more."""
        most = 1 if self.options.message == "row" else self.options.message_max_rows
        for at, row, *values in rows:
            group = (at, *values)
            if group != self._group or len(self._rows) >= most:
                yield from self.end()
                self._begin(group, at)
            self._rows.append(row)

    def end(self) -> Iterator[Message]:
        """The message that is begun, if there is one: nothing comes after it."""
        if not self._rows:
            return
        if self._number >= MESSAGES:
            raise Drift(
                f"{self.options.table!r} has more than {MESSAGES:,} messages of the time {self._at.isoformat()}",
                hint="`message: rows` puts rows of one time into one message",
            )
        text = self._rows[0] if self.options.message == "row" else '{"rows":[' + ",".join(self._rows) + "]}"
        key = ":".join(map(str, self._group[1:])).encode() if self.options.message_by else None
        offset = self.day.offset(self._at, self._number)
        stamp = (self._at - EPOCH) // MILLISECOND
        yield Message(Position(self.partition, offset), text.encode(), key=key, timestamp_ms=stamp)
        self._number += 1
        self._rows = []

    def _begin(self, group: tuple[Any, ...], at: datetime | date) -> None:
        if not self._group or at != self._group[0]:
            self._at, self._number = self.question.time_of(at), 0
        self._group = group

    def anew(self) -> Cutter:
        """Another one, for rows that are read again."""
        return Cutter(self.options, self.question, self.day, self.partition)
