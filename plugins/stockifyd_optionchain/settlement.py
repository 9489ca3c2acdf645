"""Instants: a chain's, the one at which an expiry settles, and what lies between."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from stockifyd.api import Reject
from stockifyd_optionchain.figures import INDIA, exchange_day

CLOSES = time(15, 30, tzinfo=INDIA)
"""The session's end, on which the index options of a day settle."""
YEAR = timedelta(days=365)


def settles_at(expiry: date) -> datetime:
    """The instant at which the options of an expiry settle."""
    return datetime.combine(expiry, CLOSES)


def years_to(expiry: date, at: datetime) -> float:
    """Calendar time to settlement, in years of 365 days; 0 or below once it is settled."""
    return (settles_at(expiry) - at) / YEAR


def moment(timestamp: datetime) -> tuple[datetime, date]:
    """A chain's instant in UTC, and its day at the exchange; Reject where the calendar ends."""
    try:
        return timestamp.astimezone(UTC), exchange_day(timestamp)
    except OverflowError as error:
        raise Reject("timestamp: beyond the years 1 to 9999 in UTC or India's time") from error
