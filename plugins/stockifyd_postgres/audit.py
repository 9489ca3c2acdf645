"""A day judged: per symbol and expiry, what the calendar lets expect against what is stored; no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Literal, NamedTuple

from stockifyd.api import Calendar, Session, Unknown

Code = Literal["dead_letters", "not_stored_yet", "nothing_stored", "others_stored"]
SHOWN = 10


class Series(NamedTuple):
    """What chains are polled of: a symbol and one of its expiries; None: whichever it has."""

    symbol: str
    expiry: date | None

    def __str__(self) -> str:
        return f"{self.symbol} {self.expiry or 'any expiry'}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, by its message's key and time."""

    key: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What a database holds of a day, up to a time. `snapshots` counts chains by series and by the instant that begins their
    interval.
    """

    until: datetime
    snapshots: Mapping[Series, Mapping[datetime, int]] = field(default_factory=dict)
    outside: int = 0
    """Chains of the day that are in no session."""
    letters: Sequence[Letter] = ()
    come_to: datetime | None = None
    """The time of the last message that was stored; None where no ledger tells."""
    lost: Sequence[str] = ()
    """Offsets that were lost before they were read, noticed since."""
    torn: Sequence[str] = ()
    """Chains without options, and options without a chain."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Intervals in a row without a chain: from (included) until (excluded), and why."""

    start: datetime
    end: datetime
    missing: int
    code: Code
    reason: str

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        times = {"from": self.start.isoformat(), "until": self.end.isoformat()}
        return {**times, "missing": self.missing, "code": self.code, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Line:
    """One series of the day."""

    series: Series
    expected: int
    there: int
    """Intervals with a chain."""
    snapshots: int
    gaps: Sequence[Gap]


@dataclass(frozen=True, slots=True)
class Audit:
    """The day, judged. `session` is what the calendar says of it."""

    day: date
    calendar: str
    every: timedelta
    session: Session | Unknown | None
    closed: str
    """Why there is no session."""
    lines: Sequence[Line]
    stored: Stored
    unknown: Sequence[str] = ()
    """Symbols of which nobody knows which expiries must be there, and why: one without a chain is not missed."""

    @property
    def is_clean(self) -> bool:
        """Nothing expected is missing, and no chain is torn."""
        return not self.stored.torn and not any(line.gaps for line in self.lines)

    @property
    def is_unknown(self) -> bool:
        """Nobody knows what to expect."""
        return isinstance(self.session, Unknown)


def slots(session: Session, every: timedelta, until: datetime) -> list[datetime]:
    """The intervals of a session that are over at `until`, by their beginnings; the last one of some hours may be shorter."""
    found = []
    for begin, end in session.hours:
        count = -((begin - end) // every)  # rounded up
        starts = (begin + n * every for n in range(count))
        found += [start for start in starts if min(start + every, end) <= until]
    return found


def judge(calendar: Calendar, day: date, stored: Stored, *, symbols: Collection[str], every: timedelta) -> Audit:
    """The audit of a day: of each of these symbols a chain is expected in every interval that is over."""
    session = calendar.session(day)
    lines: list[Line] = []
    unknown: list[str] = []
    if isinstance(session, Session):
        unknown = [f"{symbol}: {why}" for symbol in sorted(symbols) if (why := _unknown_expiry(calendar, day, symbol))]
        expected = slots(session, every, stored.until)
        somewhere = {at for counts in stored.snapshots.values() for at in counts}
        for series in _series(calendar, day, stored, symbols):
            counts = stored.snapshots.get(series, {})
            gaps = [_explained(gap, series, stored, somewhere, every) for gap in _gaps(expected, counts, every)]
            lines.append(Line(series, len(expected), len(counts.keys() & set(expected)), sum(counts.values()), gaps))
    else:
        found = ((series, sum(counts.values())) for series, counts in stored.snapshots.items())
        lines = [Line(series, 0, 0, snapshots, ()) for series, snapshots in sorted(found)]
    closed = calendar.holidays.get(day, f"no trading on a {day:%A}") if session is None else ""
    return Audit(day, calendar.name, every, session, closed, lines, stored, unknown)


def _series(calendar: Calendar, day: date, stored: Stored, symbols: Collection[str]) -> list[Series]:
    """What must be there: all that is there, and the next expiry of every symbol."""
    wanted = {series for series in stored.snapshots if series.symbol in symbols}
    for symbol in symbols:
        nearest = calendar.expiry(symbol, day)
        if isinstance(nearest, date):
            wanted.add(Series(symbol, nearest))
        elif not any(series.symbol == symbol for series in wanted):
            wanted.add(Series(symbol, None))
    return sorted(wanted, key=lambda series: (series.symbol, series.expiry or date.min))


def _unknown_expiry(calendar: Calendar, day: date, symbol: str) -> str:
    """Why the next expiry of a symbol is not known; empty where it is."""
    nearest = calendar.expiry(symbol, day)
    if isinstance(nearest, Unknown):
        return nearest.reason
    return f"{calendar.name} has no expiries of it" if nearest is None else ""


def _gaps(expected: Iterable[datetime], there: Collection[datetime], every: timedelta) -> Iterator[list[datetime]]:
    """Expected intervals without a chain, those in a row together; the pause between two hours parts them."""
    missing = [(n, at) for n, at in enumerate(expected) if at not in there]
    for _, run in groupby(enumerate(missing), key=lambda item: (item[1][0] - item[0], item[1][1] - item[1][0] * every)):
        yield [at for _, (_, at) in run]


def _explained(run: Sequence[datetime], series: Series, stored: Stored, somewhere: Collection[datetime], every: timedelta) -> Gap:
    start, end = run[0], run[-1] + every
    code, reason = _reason(start, end, series, stored, everywhere=not any(at in somewhere for at in run))
    return Gap(start, end, len(run), code, reason)


def _reason(start: datetime, end: datetime, series: Series, stored: Stored, *, everywhere: bool) -> tuple[Code, str]:
    """Why it is missing, as far as a database can tell."""
    keys = {f"{series.symbol}:{series.expiry}"} if series.expiry else None
    letters = [
        letter
        for letter in stored.letters
        if start <= letter.at < end and (letter.key in keys if keys else letter.key.startswith(f"{series.symbol}:"))
    ]
    if letters:
        return "dead_letters", f"{len(letters)} dead letters, the first: {letters[0].reason}"
    if stored.come_to is not None and stored.come_to < start:
        return "not_stored_yet", f"storage has come to {stored.come_to:%Y-%m-%d %H:%M:%S%z}"
    if everywhere:
        return "nothing_stored", "no symbol has a chain then: nothing arrived, or nothing was stored"
    return "others_stored", "other series have chains then: this one did not arrive"
