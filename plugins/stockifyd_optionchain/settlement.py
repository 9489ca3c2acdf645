"""When an expiry settles, and how long that is from an instant."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from stockifyd_optionchain.figures import INDIA

CLOSES = time(15, 30, tzinfo=INDIA)
"""The session's end, on which the index options of a day settle."""
YEAR = timedelta(days=365)


def settles_at(expiry: date) -> datetime:
    """The instant at which the options of an expiry settle."""
    return datetime.combine(expiry, CLOSES)


def years_to(expiry: date, at: datetime) -> float:
    """Calendar time to settlement, in years of 365 days; 0 or below once it is settled."""
    return (settles_at(expiry) - at) / YEAR
