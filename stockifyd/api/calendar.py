"""When a market trades: sessions, holidays and expiries of a calendar file; what it does not know, it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import NoReturn, Self

WEEK = timedelta(days=7)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The answer of a calendar that does not know. It is neither true nor false: ask `isinstance(answer, Unknown)` first."""

    reason: str

    def __bool__(self) -> NoReturn:
        raise TypeError(f"unknown is neither true nor false: {self.reason}")


@dataclass(frozen=True, slots=True)
class Session:
    """The trading of one day. `hours` are times with zone, from (included) and until (excluded), in order; mostly one pair.

    `name` says what is special about it; empty on a usual day.
    """

    day: date
    hours: tuple[tuple[datetime, datetime], ...]
    name: str = ""

    @property
    def open(self) -> datetime:
        """When the first hours begin."""
        return self.hours[0][0]

    @property
    def close(self) -> datetime:
        """When the last hours end."""
        return self.hours[-1][1]

    def holds(self, at: datetime) -> bool:
        """Whether the market trades at an instant, which must have a zone."""
        return any(begin <= at < end for begin, end in self.hours)


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """On which weekdays (0 is Monday) a symbol expires, for expiries from `start` until `end`, both included; None: not at all.

    `monthly` is the last such weekday of a month. In its week, Monday to Sunday, there is no weekly expiry beside it.
    """

    start: date
    end: date = date.max
    weekly: int | None = None
    monthly: int | None = None

    def names(self, day: date) -> bool:
        """Whether the rule names this day, before holidays are asked."""
        if not self.start <= day <= self.end:
            return False
        if self.monthly is None:
            return day.weekday() == self.weekly
        last = _last_of_its_week(day, self.monthly)
        return day == last if last is not None else day.weekday() == self.weekly


@dataclass(frozen=True, slots=True)
class Calendar:
    """One market's calendar. Days are the market's own, not those of UTC. `load` reads one from a file."""

    name: str
    zone: tzinfo
    known_from: date
    known_until: date
    weekdays: frozenset[int]
    usual: tuple[tuple[timedelta, timedelta], ...]
    holidays: Mapping[date, str] = field(default_factory=dict)
    special: Mapping[date, Session] = field(default_factory=dict)
    unknown: Mapping[date, str] = field(default_factory=dict)
    expiries: Mapping[str, Sequence[ExpiryRule]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a calendar: a file, or by a name without dot and slash one that ships, such as `nse`.

        ValueError holds all that is wrong in it, one `file:line:column: fact` a line.
        """
        from stockifyd.api.calendar_file import located, read  # noqa: PLC0415  yaml, which only who loads one needs

        return cls(**read(located(path)))

    def session(self, day: date) -> Session | Unknown | None:
        """A day's trading; None: the market is closed all day."""
        if (unknown := self._unknown(day)) is not None:
            return unknown
        if day in self.special:
            return self.special[day]
        if day in self.holidays or day.weekday() not in self.weekdays:
            return None
        return session_of(day, self.usual, self.zone)

    def is_open(self, at: datetime) -> bool | Unknown:
        """Whether the market trades at an instant, which must have a zone."""
        session = self.session(at.astimezone(self.zone).date())
        return session if isinstance(session, Unknown) else session is not None and session.holds(at)

    def expiry(self, symbol: str, day: date) -> date | Unknown | None:
        """A symbol's next expiry, on this day or after it; None: the calendar has no expiries of that symbol.

        An expiry that falls on a holiday, or where nothing is traded, is on the trading day before.
        """
        rules = self.expiries.get(symbol)
        if rules is None:
            return None
        named = day
        while named <= self.known_until + WEEK:  # an expiry after `known_until` may be moved to a day before it
            moved = self._traded_before(named) if any(rule.names(named) for rule in rules) else None
            if isinstance(moved, Unknown) or (moved is not None and moved >= day):
                return moved
            named += DAY
        return Unknown(f"{self.name} is known until {self.known_until}, and {symbol} has no expiry from {day} to then")

    def _traded_before(self, day: date) -> date | Unknown | None:
        """The day itself if it is an ordinary trading day, else the last one before it; None: none in a fortnight."""
        for back in range(15):
            found = self.session(tried := day - back * DAY)
            if isinstance(found, Unknown):
                return found
            if found is not None and tried not in self.holidays:  # an hour of trading on a holiday is not an expiry's day
                return tried
        return None

    def _unknown(self, day: date) -> Unknown | None:
        if day in self.unknown:
            return Unknown(f"{day}: {self.unknown[day]}")
        if self.known_from <= day <= self.known_until:
            return None
        return Unknown(f"{self.name} is known from {self.known_from} until {self.known_until}, not on {day}")


def session_of(day: date, hours: Sequence[tuple[timedelta, timedelta]], zone: tzinfo, name: str = "") -> Session:
    """A session whose hours are given as time since midnight."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return Session(day, tuple((midnight + begin, midnight + end) for begin, end in hours), name)


def _last_of_its_week(day: date, weekday: int) -> date | None:
    """The last such weekday of a month, where it is in the same week as `day`."""
    candidate = day + (weekday - day.weekday()) * DAY
    return candidate if (candidate + WEEK).month != candidate.month else None
