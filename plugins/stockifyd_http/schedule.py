"""When is polled: at times that are multiples of the interval, while the market is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stockifyd_http.hours import Hours

MICROS = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COARSE_MICROS = 60 * MICROS
"""Hours begin and end with a minute: to know whether any time was open, one look at each is enough."""


class Schedule:
    """Instants in whole microseconds since 1970; a multiple of the interval is counted from midnight in the market's zone."""

    def __init__(self, interval_secs: float, hours: Hours) -> None:
        self.interval = round(interval_secs * MICROS)
        self.hours = hours

    def last(self, now: int) -> int:
        """The latest multiple of the interval that is not after `now`."""
        offset = self._offset(now)
        return (now + offset) // self.interval * self.interval - offset

    def is_open(self, at: int) -> bool:
        """Whether is polled at an instant."""
        return self.hours.holds(instant(at))

    def was_due(self, since: int, until: int) -> bool:
        """Whether a poll was due from `since` (included) to `until` (excluded)."""
        at = self.last(since - 1) + self.interval
        step = max(self.interval, COARSE_MICROS // self.interval * self.interval)
        while at < until:
            if self.is_open(at):
                return True
            at += step
        return False

    def _offset(self, at: int) -> int:
        shift = instant(at).astimezone(self.hours.zone).utcoffset() or timedelta()
        return shift // timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """An instant as offsets have it."""
    return (at - EPOCH) // timedelta(microseconds=1)


def instant(at: int) -> datetime:
    """An offset as an instant."""
    return EPOCH + timedelta(microseconds=at)
