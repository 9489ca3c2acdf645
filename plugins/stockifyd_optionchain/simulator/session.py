"""The trading session: its instants, and how spot and volatility of an underlying walk through it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from math import exp, pi, sin, sqrt
from random import Random
from typing import NamedTuple

from stockifyd_optionchain.figures import INDIA
from stockifyd_optionchain.simulator.underlyings import Underlying

OPENS = time(9, 15, tzinfo=INDIA)
SESSION = timedelta(hours=6, minutes=15)
SESSIONS_A_YEAR = 252


class Instant(NamedTuple):
    """A moment of the session. `activity` is the share of the day's trade done: 0 at the open, 1 at the close."""

    number: int
    at: datetime
    activity: float


class Level(NamedTuple):
    """Spot, on its tick, and the volatility at the money."""

    spot: float
    volatility: float


def instants(day: date, interval_secs: float) -> list[Instant]:
    """From the open to the close, both included where the interval divides the session."""
    opens = datetime.combine(day, OPENS)
    elapsed = [timedelta(seconds=n * interval_secs) for n in range(int(SESSION / timedelta(seconds=interval_secs)) + 1)]
    return [Instant(number, opens + past, _activity(past / SESSION)) for number, past in enumerate(elapsed)]


def walk(underlying: Underlying, chance: Random, steps: int) -> Iterator[Level]:
    """First yesterday's close, then a level for each instant: spot walks, volatility moves against it and comes back."""
    spot = underlying.spot * exp(0.02 * chance.gauss(0, 1))
    usual = volatility = underlying.volatility * exp(0.1 * chance.gauss(0, 1))
    yield _level(underlying, spot, volatility)
    overnight, intraday = 0.3 / sqrt(SESSIONS_A_YEAR), 1 / sqrt(SESSIONS_A_YEAR * steps)
    for step in range(steps):
        move = volatility * chance.gauss(0, 1) * (intraday if step else overnight)
        spot *= exp(move)
        volatility *= exp(-3 * move) * (usual / volatility) ** (1 / steps)
        yield _level(underlying, spot, volatility)


def _level(underlying: Underlying, spot: float, volatility: float) -> Level:
    return Level(round(spot * underlying.ticks) / underlying.ticks, round(volatility, 6))


def _activity(elapsed: float) -> float:
    """Busy at both ends of the day, calm at noon; it never falls."""
    return elapsed + sin(2 * pi * elapsed) / (3 * pi)
