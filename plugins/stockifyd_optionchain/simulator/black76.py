"""European options by Black-76 on the forward: prices and greeks in the units of the canonical chain.

The forward is F = S exp(rT); greeks are by the forward, as `enrich_greeks` has them. Source: F. Black, "The pricing of commodity
contracts", 1976.
"""

from __future__ import annotations

from math import erfc, exp, log, sqrt
from typing import NamedTuple

DAYS_A_YEAR = 365
_SQRT_HALF = sqrt(0.5)
_DENSITY = 0.3989422804014327  # 1 / sqrt(2 pi)


class Greeks(NamedTuple):
    """Theta per calendar day, vega per volatility point, rho per percentage point of the rate; the forward stays what it is."""

    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


class Pair(NamedTuple):
    """The call and the put of one strike."""

    call: float
    put: float
    call_greeks: Greeks
    put_greeks: Greeks


class Pricer:
    """Prices the strikes of one expiry at one instant: what all of them share is computed once."""

    __slots__ = ("discount", "forward", "rate", "root", "spot", "years")

    def __init__(self, spot: float, rate: float, years: float) -> None:
        self.spot, self.rate, self.years = spot, rate, years
        self.discount, self.root = exp(-rate * years), sqrt(years)
        self.forward = spot / self.discount

    def price(self, strike: float, iv: float) -> Pair:
        """Both options of a strike; the dearer one by put-call parity, so that it holds to the last digit."""
        spot, deviation, worth = self.spot, iv * self.root, strike * self.discount
        d1 = log(self.forward / strike) / deviation + deviation / 2
        d2 = d1 - deviation
        n1, n2 = 0.5 * erfc(-d1 * _SQRT_HALF), 0.5 * erfc(-d2 * _SQRT_HALF)
        if spot < worth:
            call = spot * n1 - worth * n2
            put = call + worth - spot
        else:
            # The tails by erfc itself: 1 - n1 would have lost its digits far from the money.
            put = worth * 0.5 * erfc(d2 * _SQRT_HALF) - spot * 0.5 * erfc(d1 * _SQRT_HALF)
            call = put + spot - worth
        density = _DENSITY * exp(-0.5 * d1 * d1)
        delta, gamma = self.discount * n1, self.discount * density / (self.forward * deviation)
        vega, decay = spot * density * self.root / 100, -spot * density * iv / (2 * self.root)
        rate, rho = self.rate, -self.years / 100
        return Pair(
            call,
            put,
            Greeks(delta, gamma, (decay + rate * call) / DAYS_A_YEAR, vega, rho * call),
            Greeks(delta - self.discount, gamma, (decay + rate * put) / DAYS_A_YEAR, vega, rho * put),
        )

    def smile(self, strike: float, volatility: float) -> float:
        """The implied volatility of a strike: `volatility` at the forward, lowest a little above it, steeper below.

        By standard deviations from the forward, flattened beyond eight, so that far strikes stay free of arbitrage.
        """
        deviations = log(strike / self.forward) / (volatility * self.root)
        reach = deviations / (1 + abs(deviations) / 8)
        return int(volatility * (1 + reach * (0.012 * reach - 0.03)) * 1e6 + 0.5) / 1e6
