"""Volatilities and greeks against 40-digit arithmetic, and against a published package."""
# what is expected stands first in an assert

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import vollib.black.greeks.analytical as published
from vollib.black.implied_volatility import implied_volatility

from kit import precise
from kit.priced import priced_chain
from stockifyd_optionchain.analytics.implied import NAMES, greeks, implied, volatilities
from stockifyd_optionchain.analytics.market import Market, by_expiry, columns_of
from stockifyd_optionchain.chain import Chain

FORWARD = 25_950.0
STRIKES = [15_000.0, 20_000.0, 24_000.0, 25_500.0, 25_900.0, 25_950.0, 26_000.0, 26_400.0, 28_000.0, 35_000.0, 45_000.0]
TIMES = [timedelta(hours=1), timedelta(days=1), timedelta(days=5), timedelta(days=30), timedelta(days=365)]
VOLATILITIES = [0.04, 0.13, 0.5, 2.5]
VISIBLE = 1e-3
"""A fiftieth of a tick: below, a price tells no volatility."""

each_time = pytest.mark.parametrize("before", TIMES, ids=str)
each_volatility = pytest.mark.parametrize("iv", VOLATILITIES)


def market(chain: Chain, rate: float = 0.065) -> Market:
    columns = columns_of(chain)
    [(expiry, places)] = by_expiry(columns).items()
    return Market.of(chain, columns, places, expiry=expiry, rate=rate)


@each_time
@each_volatility
@pytest.mark.parametrize("rate", [0.0, 0.065])
def test_volatility(before: timedelta, iv: float, rate: float) -> None:
    """The volatility of out-of-the-money prices is the one of 40 digits to 1e-13, deep wings and the last hour included."""
    options = market(priced_chain(FORWARD, STRIKES, before=before, rate=rate, iv=lambda _: iv), rate)
    above = options.strikes >= FORWARD
    sides = np.where(above, 1, -1).tolist()
    prices = [
        float(precise.price(w, FORWARD, k, years=options.years, rate=rate, iv=iv)) for w, k in zip(sides, STRIKES, strict=True)
    ]
    found = volatilities(options, FORWARD, np.array(prices), above)
    for side, strike, paid, volatility in zip(sides, STRIKES, prices, found, strict=True):
        if paid > VISIBLE:
            exact = precise.implied(side, FORWARD, strike, years=options.years, rate=rate, paid=paid)
            assert abs(volatility - exact) <= 1e-13 * exact, strike


@each_time
@each_volatility
def test_greeks(before: timedelta, iv: float) -> None:
    """Greeks are the derivatives of the price, taken with 40 digits, to 2e-12, each in its unit."""
    chain = priced_chain(FORWARD, STRIKES, before=before, iv=lambda _: iv)
    options = market(chain)
    found = dict(zip(NAMES, greeks(options, FORWARD, np.full(len(chain.options), iv)), strict=True))
    for at, option in enumerate(chain.options):
        side = 1 if option.option_type == "CE" else -1
        for name, exact in precise.greeks(side, FORWARD, option.strike, years=options.years, rate=0.065, iv=iv).items():
            if abs(exact) > 1e-12:
                assert abs(found[name][at] - exact) <= 2e-12 * abs(exact), (name, option)


@each_time
@each_volatility
def test_a_chain_gives_its_volatilities_back(before: timedelta, iv: float) -> None:
    """From quotes to forward, volatilities and greeks: what a chain was made of, and what vollib makes of the same prices."""
    chain = priced_chain(FORWARD, STRIKES, before=before, iv=lambda _: iv)
    options = market(chain)
    result = implied(options)
    assert result is not None
    assert FORWARD == pytest.approx(result.forward, rel=1e-14)
    for strike, volatility in zip(STRIKES, result.volatility, strict=True):
        flag = "c" if strike >= result.forward else "p"
        side = 1 if flag == "c" else -1
        paid = float(precise.price(side, FORWARD, strike, years=options.years, rate=0.065, iv=iv))
        if paid > VISIBLE:
            theirs = implied_volatility(paid, result.forward, strike, 0.065, options.years, flag)
            assert (iv, theirs) == (pytest.approx(volatility, rel=1e-9), pytest.approx(volatility, rel=1e-11))


def test_greeks_are_those_of_a_published_package() -> None:
    """vollib's Black-76 has the same signs and units."""
    chain = priced_chain(FORWARD, STRIKES)
    options = market(chain)
    result = implied(options)
    assert result is not None
    for at, option in enumerate(chain.options):
        if 24_000 <= option.strike <= 28_000:
            flag = "c" if option.option_type == "CE" else "p"
            given = (flag, result.forward, option.strike, options.years, 0.065, result.values[0][at])
            for name, values in zip(NAMES[1:], result.values[1:], strict=True):
                assert pytest.approx(getattr(published, name)(*given), rel=1e-8) == values[at], name
