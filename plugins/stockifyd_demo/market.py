"""The demo's market: always open to who polls; to who audits, open for as long as was polled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from stockifyd_demo.polled import Chain

INDIA = ZoneInfo("Asia/Kolkata")
CALENDAR = """version: 1
name: the demo's market
timezone: Asia/Kolkata
known_from: {first}
known_until: {last}
weekdays: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]
hours: [{{open: "{open}", close: "{close}"}}]
"""


def always_open(folder: Path) -> Path:
    """The calendar of a market that never closes."""
    path = folder / "always.yaml"
    path.write_text(CALENDAR.format(first="2000-01-01", last="2099-12-31", open="00:00", close="24:00"))
    return path


def whole_minute_at(began: float, interval_secs: float) -> float:
    """When a minute of the clock is whole in which each series was polled, and was before it; times since 1970."""
    settled = began + 2 * interval_secs
    return settled // 60 * 60 + 60 + 2 * interval_secs


def session(folder: Path, chains: Iterable[Chain]) -> tuple[date, Path]:
    """The day that was polled, and a calendar by which it was open in all minutes in which every series was.

    Hours begin and end with a minute.
    """
    times = defaultdict[tuple[str, date], list[datetime]](list)
    for one in chains:
        times[one.symbol, one.expiry].append(one.at.astimezone(INDIA))
    opened, closed = max(map(min, times.values())), min(map(max, times.values()))
    day = opened.date()
    close = f"{closed:%H:%M}" if closed.date() == day else "24:00"
    path = folder / "session.yaml"
    path.write_text(CALENDAR.format(first=day, last=day, open=f"{opened:%H:%M}", close=close))
    return day, path
