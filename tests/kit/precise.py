"""Black-76 with 40 digits, by the formulas themselves: the oracle of what floats compute."""

from __future__ import annotations

from typing import Any

import mpmath as mp

DIGITS = 40


def normal(x: Any) -> Any:
    """The normal distribution."""
    return mp.erfc(-x / mp.sqrt(2)) / 2


def price(side: int, forward: float, strike: float, *, years: float, rate: float, iv: Any) -> Any:
    """An option's price; `side` is 1 of a call, -1 of a put."""
    with mp.workdps(DIGITS):
        return _price(side, [mp.mpf(x) for x in (forward, strike, years, rate, iv)])


def discount(rate: float, years: float) -> Any:
    """What a rupee is worth so long before."""
    with mp.workdps(DIGITS):
        return mp.exp(-mp.mpf(rate) * mp.mpf(years))


def greeks(side: int, forward: float, strike: float, *, years: float, rate: float, iv: float) -> dict[str, Any]:
    """Delta and gamma by the forward, theta a calendar day, vega a volatility point, rho a percentage point: as derivatives."""
    with mp.workdps(DIGITS):
        at = [mp.mpf(x) for x in (forward, strike, years, rate, iv)]

        def derivative(place: int, order: int = 1) -> Any:
            step = max(at[place], mp.mpf("0.01")) * mp.mpf("1e-15")
            return mp.diff(lambda x: _price(side, [*at[:place], x, *at[place + 1 :]]), at[place], order, h=step)

        return {
            "delta": derivative(0),
            "gamma": derivative(0, 2),
            "theta": -derivative(2) / 365,
            "vega": derivative(4) / 100,
            "rho": derivative(3) / 100,
        }


def _price(side: int, at: list[Any]) -> Any:
    forward, strike, years, rate, iv = at
    deviation = iv * mp.sqrt(years)
    d1 = mp.log(forward / strike) / deviation + deviation / 2
    return mp.exp(-rate * years) * side * (forward * normal(side * d1) - strike * normal(side * (d1 - deviation)))


def implied(side: int, forward: float, strike: float, *, years: float, rate: float, paid: float) -> Any:
    """The volatility that gives a price, by bisection and Newton's way."""
    with mp.workdps(DIGITS):
        low, high = mp.mpf("1e-6"), mp.mpf(100)
        for _ in range(140):
            middle = (low + high) / 2
            if price(side, forward, strike, years=years, rate=rate, iv=middle) < paid:
                low = middle
            else:
                high = middle
        return (low + high) / 2
