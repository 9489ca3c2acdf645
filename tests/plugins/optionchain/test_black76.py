"""The simulator's prices, against an integral over the payoff and against what every price must obey."""
# what is expected stands first in an assert

from __future__ import annotations

from itertools import pairwise
from math import exp, pi, sqrt

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from stockifyd_optionchain.simulator.black76 import DAYS_A_YEAR, Pair, Pricer

SPOT, STRIKE, IV, RATE, YEARS = 25_900.0, 26_100.0, 0.13, 0.065, 9 / 365
VOLATILITIES, TIMES = st.floats(0.05, 0.6), st.floats(1e-5, 0.5)


FORWARD = SPOT * exp(RATE * YEARS)


def price(*, forward: float = FORWARD, iv: float = IV, rate: float = RATE, years: float = YEARS) -> Pair:
    return Pricer(forward * exp(-rate * years), rate, years).price(STRIKE, iv)


def integrated(strike: float, iv: float, pricer: Pricer) -> float:
    """A call as the discounted mean of its payoff under a lognormal forward, by Simpson's rule."""
    steps, width, total = 20_000, 10.0, 0.0
    step, deviation = 2 * width / steps, iv * sqrt(pricer.years)
    for n in range(steps + 1):
        z = n * step - width
        settled = pricer.forward * exp(deviation * z - deviation * deviation / 2)
        weight = 1 if n in (0, steps) else 4 if n % 2 else 2
        total += weight * max(settled - strike, 0) * exp(-z * z / 2)
    return pricer.discount * total * step / 3 / sqrt(2 * pi)


def test_price_is_the_mean_payoff() -> None:
    """The closed formula is the integral it stands for."""
    for strike, iv, years in ((26_100.0, 0.13, 0.02), (24_000.0, 0.2, 0.3), (28_000.0, 0.15, 0.1)):
        pricer = Pricer(SPOT, RATE, years)
        assert approx(integrated(strike, iv, pricer), abs=1e-3) == pricer.price(strike, iv).call


def test_greeks_are_the_derivatives() -> None:
    """Each greek is the difference quotient of the price, in its own unit, the forward being what it is."""

    def slope(up: Pair, down: Pair, width: float) -> tuple[float, float]:
        return (up.call - down.call) / width, (up.put - down.put) / width

    pair = price()
    both = pair.call_greeks, pair.put_greeks
    assert approx(slope(price(forward=FORWARD + 1), price(forward=FORWARD - 1), 2), rel=1e-4) == [g.delta for g in both]
    assert approx(slope(price(iv=IV + 1e-4), price(iv=IV - 1e-4), 0.02), rel=1e-4) == [g.vega for g in both]
    assert approx(slope(price(rate=RATE + 1e-4), price(rate=RATE - 1e-4), 0.02), rel=1e-4) == [g.rho for g in both]
    later, sooner = price(years=YEARS - 1e-6), price(years=YEARS + 1e-6)
    assert approx(slope(later, sooner, 2e-6 * DAYS_A_YEAR), rel=1e-4) == [g.theta for g in both]
    curve = price(forward=FORWARD + 1).call - 2 * pair.call + price(forward=FORWARD - 1).call
    assert approx(curve, rel=1e-3) == both[0].gamma == both[1].gamma


@given(VOLATILITIES, TIMES, st.floats(-0.3, 0.3))
def test_parity(volatility: float, years: float, away: float) -> None:
    """A call less a put is the discounted forward less strike, however far from the money."""
    pricer, strike = Pricer(SPOT, RATE, years), SPOT * exp(away)
    pair = pricer.price(strike, pricer.smile(strike, volatility))
    assert approx(pricer.discount * (pricer.forward - strike), abs=1e-8) == pair.call - pair.put
    assert pair.call >= 0 <= pair.put


@given(VOLATILITIES, TIMES)
def test_no_arbitrage_across_strikes(volatility: float, years: float) -> None:
    """Under the smile calls fall and puts rise with the strike, and neither bends the wrong way."""
    pricer = Pricer(SPOT, RATE, years)
    pairs = [pricer.price(k, pricer.smile(k, volatility)) for k in (19_000.0 + 50 * n for n in range(280))]
    assert [] == [n for n, (a, b) in enumerate(pairwise(pairs)) if b.call > a.call + 1e-3 or b.put < a.put - 1e-3]


@given(VOLATILITIES, TIMES)
def test_smile(volatility: float, years: float) -> None:
    """The smile is the volatility itself at the forward, and higher far out on both sides."""
    pricer = Pricer(SPOT, RATE, years)
    far = 6 * volatility * sqrt(years)
    low, middle, high = (pricer.smile(pricer.forward * exp(x), volatility) for x in (-far, 0.0, far))
    assert approx(volatility, abs=1e-6) == middle
    assert low > high > middle
