"""Where a row's message sits in time: UTC days are partitions, and inside a day an offset says when, and which of that time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

MESSAGES = 1_000_000
"""Messages that one microsecond may have: an offset is the day's microsecond times this, and the message's number in it."""
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Day:
    """A UTC day, or what of it is asked for: from `start` to before `end`."""

    date: date
    start: datetime
    end: datetime

    @property
    def number(self) -> int:
        """Of its partition, for people: 20261124."""
        return self.date.year * 10_000 + self.date.month * 100 + self.date.day

    @property
    def midnight(self) -> datetime:
        """When it begins."""
        return datetime.combine(self.date, time(), UTC)

    def offset(self, at: datetime, number: int = 0) -> int:
        """The offset of a message of that time: the next one for a time behind all of them."""
        return (at - self.midnight) // MICROSECOND * MESSAGES + number

    def at(self, offset: int) -> datetime:
        """The time of the message that has this offset."""
        return self.midnight + offset // MESSAGES * MICROSECOND


def days(start: datetime, end: datetime) -> Iterator[Day]:
    """The days between two times, the first and the last cut."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    while start < end:
        day = start.date()
        last = day == date.max
        after = end if last else min(end, datetime.combine(day + timedelta(days=1), time(), UTC))
        yield Day(day, start, after)
        start = after
