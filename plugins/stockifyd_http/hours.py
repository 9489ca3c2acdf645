"""When is polled: by a calendar's sessions, by a window of the week, or always."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, tzinfo
from typing import Protocol

from stockifyd.api import Calendar, Unknown
from stockifyd_http.options import HttpOptions
from stockifyd_http.window import Window


class Hours(Protocol):
    """When a market trades, in its own zone."""

    @property
    def zone(self) -> tzinfo:
        """Days and times are of this zone."""

    def holds(self, at: datetime) -> bool:
        """Whether it trades at an instant."""


class Always:
    """A market that never closes, in UTC."""

    zone: tzinfo = UTC

    def holds(self, at: datetime) -> bool:  # noqa: ARG002
        """It does."""
        return True


class Sessions:
    """A calendar's sessions. On days unknown to it the window decides, and without one is polled: it cannot be had later."""

    def __init__(self, calendar: Calendar, window: Window | None, log: logging.Logger) -> None:
        self.zone: tzinfo = calendar.zone
        self._calendar, self._log = calendar, log
        self._else: Hours = window or Always()
        self._told: date | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it trades at an instant; that a day is unknown is said once."""
        answer = self._calendar.is_open(at)
        if not isinstance(answer, Unknown):
            return answer
        if (day := at.astimezone(self.zone).date()) != self._told:
            self._told = day
            how = "polled all day" if isinstance(self._else, Always) else "polled by the `window`"
            self._log.warning("the calendar does not know this day, which is %s: %s", how, answer.reason)
        return self._else.holds(at)


def hours_of(options: HttpOptions, log: logging.Logger) -> Hours:
    """The hours that options name. ValueError where the calendar's file is wrong."""
    if options.calendar:
        return Sessions(Calendar.load(options.calendar), options.window, log)
    return options.window or Always()
