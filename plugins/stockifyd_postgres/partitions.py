"""A partition for each day, made before it is needed, and times that no partition shall be made for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from stockifyd.api import Reject
from stockifyd_postgres import encoding
from stockifyd_postgres.catalogue import Name, Target
from stockifyd_postgres.connection import Session
from stockifyd_postgres.loads import Load
from stockifyd_postgres.names import qualified
from stockifyd_postgres.options import PostgresOptions

AROUND_DAYS = 2
EVERY_SECS = 3600.0
ENSURE = "SELECT stockifyd.ensure_day($1::text::regclass, day) FROM unnest($2::date[]) AS t(day) ORDER BY day"


class Days:
    """Which days have their partitions, as far as this sink knows."""

    def __init__(self, options: PostgresOptions, now: Callable[[], datetime]) -> None:
        self.options, self.now = options, now
        self._made: dict[Name, set[date]] = {}
        self._due = 0.0

    async def ensure_around(self, session: Session, targets: Iterable[Target]) -> None:
        """Today and two days either way, at open and once an hour: midnight is a non-event."""
        if time.monotonic() < self._due:
            return
        today = self.now().date()
        days = {today + timedelta(days=n) for n in range(-AROUND_DAYS, AROUND_DAYS + 1)}
        for target in targets:
            await self.ensure(session, target, days)
        self._due = time.monotonic() + EVERY_SECS

    async def ensure(self, session: Session, target: Target, days: Iterable[date]) -> None:
        """Make the partitions of these days where we do not know of them, in a transaction of its own."""
        made = self._made.setdefault(target.name, set())
        if not target.by_day or not (new := sorted(set(days) - made)):
            return
        async with session.transaction() as transaction:
            await transaction.fetch(ENSURE, qualified(target.name), new)
            await transaction.commit()
        made.update(new)

    def forget(self) -> None:
        """A partition that we know of was not there: look again."""
        self._made.clear()

    def of(self, load: Load) -> set[date]:
        """The days of a load's rows; Reject names a row whose time is implausible."""
        if load.target.time_column not in load.columns:
            return set()
        place = load.columns.index(load.target.time_column)
        today = self.now().date()
        first = today - timedelta(days=self.options.retention_days)
        last = today + timedelta(days=self.options.future_days)
        found = encoding.days(load.rows, place) or frozenset(map(day_of, {row[place] for row in load.rows}))
        days = {day for day in found if day}
        if None not in found and all(first <= day <= last for day in days):
            return days
        times = [row[place] for row in load.rows]
        row = next(i for i, value in enumerate(times) if (day := day_of(value)) is None or not first <= day <= last)
        fault = "is not a time" if day_of(times[row]) is None else f"is not between {first} and {last}"
        raise Reject(f"column {load.target.time_column!r} {fault}", table=load.name, row=row)


def day_of(value: Any) -> date | None:
    """The UTC day of a time; None of what is none."""
    if not isinstance(value, datetime):
        return value if isinstance(value, date) else None
    try:
        return value.astimezone(UTC).date() if value.tzinfo else value.date()
    except OverflowError:
        return None
