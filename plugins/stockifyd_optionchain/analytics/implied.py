"""Implied volatility and greeks of the options of one expiry, by Black-76 on the forward of put-call parity.

Source: F. Black, "The pricing of commodity contracts", 1976. Volatility is solved by pyvolr, which is P. Jaeckel's "Let's be
rational", 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyvolr import black76

from stockifyd_optionchain.analytics.arrays import Floats, Marks
from stockifyd_optionchain.analytics.market import Market

DAYS_A_YEAR = 365
NAMES = ("iv", "delta", "gamma", "theta", "vega", "rho")


@dataclass(frozen=True, slots=True)
class Implied:
    """What prices imply: the forward, the volatility of each strike, and of all options the values of NAMES, a row each."""

    forward: float
    volatility: Floats
    values: Floats


def implied(market: Market) -> Implied | None:
    """Volatility and greeks; None where nothing can be said: the expiry is settled, or there is neither a pair nor a spot.

    Both options of a strike have one volatility, a fraction a year, solved from the out-of-the-money one: from the middle of its
    quote, else from its last price. Where that has neither, from the other one by parity, if even its bid is above its intrinsic
    value. NaN where no volatility gives the price. Greeks are delta, gamma, theta, vega and rho, by the forward: theta for a
    calendar day, vega for a volatility point (0.01), rho for a percentage point of the rate, the forward being what it is.

    Error, against 40 digits, of out-of-the-money prices above 0.001 and greeks above 1e-12: volatility 1e-13, greeks 2e-12,
    relative. What a price does not know of the volatility (a tick of 0.05 far from the money) is not in these.
    """
    middles = market.middles
    calls, puts = market.prices(middles)
    forward = market.forward((calls, puts))
    if forward is None:
        return None
    worth = market.discount * (forward - market.strikes)  # of a call less a put
    above = worth <= 0
    outer = np.where(above, calls, puts)
    if np.isnan(outer).any():
        outer = np.where(np.isnan(outer), _by_parity(market, middles, worth), outer)
    volatility = volatilities(market, forward, outer, above)
    return Implied(forward, volatility, greeks(market, forward, volatility[market.place]))


def _by_parity(market: Market, middles: Floats, worth: Floats) -> Floats:
    """Out-of-the-money prices from the other side's quote, where even its bid leaves something for time."""

    def outer(quoted: Floats) -> Floats:
        calls, puts = market.sides(quoted)
        return np.where(worth <= 0, puts + worth, calls - worth)

    return np.where(outer(market.column("bid")) > 0, outer(middles), np.nan)


def volatilities(market: Market, forward: float, prices: Floats, is_call: Marks) -> Floats:
    """The volatility that gives each strike's price; NaN where none does."""
    found = black76.implied_vol(prices, _flags(is_call), forward, market.strikes, market.years, market.rate, on_error="ignore")
    volatility = np.asarray(found, dtype=np.float64)
    return np.where(volatility > 0, volatility, np.nan)


def greeks(market: Market, forward: float, volatility: Floats) -> Floats:
    """The values of NAMES, a row each, of all options, in the units of the canonical chain."""
    found = black76.greeks(_flags(market.is_call), forward, market.strike, market.years, market.rate, volatility)
    theta, vega, rho = found["theta"] / DAYS_A_YEAR, found["vega"] / 100, found["rho"] / 100
    values = np.array([volatility, found["delta"], found["gamma"], theta, vega, rho])
    values[:, np.isnan(volatility)] = np.nan
    return values


def _flags(is_call: Marks) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.where(is_call, np.int8(1), np.int8(-1))
