"""The forward of put-call parity, and the price of an option."""
# what is expected stands first in an assert

from __future__ import annotations

from datetime import date
from math import isnan, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd_optionchain.chain import Option
from stockifyd_optionchain.forward import NEAREST, implied_forward, mid, price

FORWARD, DISCOUNT = 26_040.0, 0.995
STRIKES = [25_500.0 + 50 * n for n in range(21)]


def quoted(forward: float = FORWARD, **off: float) -> tuple[list[float], list[float]]:
    """Calls and puts by parity; `off` moves the call of strikes such as `k26000`."""
    puts = [100.0] * len(STRIKES)
    calls = [100 + DISCOUNT * (forward - k) + off.get(f"k{k:.0f}", 0.0) for k in STRIKES]
    return calls, puts


def forward(calls: list[float], puts: list[float], spot: float | None = 26_000.0) -> float | None:
    return implied_forward(STRIKES, calls, puts, spot=spot, discount=DISCOUNT)


@given(st.floats(25_600, 26_400), st.none() | st.floats(1, 100_000))
def test_parity_gives_the_forward_back(true: float, spot: float | None) -> None:
    """Wherever the money is, prices that obey parity tell the forward they were made of."""
    assert pytest.approx(true, rel=1e-12) == forward(*quoted(true), spot)


def test_the_strikes_nearest_to_spot_are_asked() -> None:
    """What is quoted badly farther away moves nothing; nor do two of five."""
    assert pytest.approx(FORWARD) == forward(*quoted(k25850=500.0, k26150=-500.0))
    assert pytest.approx(FORWARD) == forward(*quoted(k26000=500.0, k26050=300.0))
    three = forward(*quoted(k26000=300.0, k26050=300.0, k25950=300.0))
    assert pytest.approx(FORWARD + 300 / DISCOUNT) == three


def test_without_a_spot_the_money_is_where_they_differ_least() -> None:
    """The strikes beside the forward are asked."""
    assert pytest.approx(FORWARD) == forward(*quoted(k25500=9_000.0, k26500=9_000.0, k25550=9_000.0), None)


@given(st.lists(st.booleans(), min_size=len(STRIKES), max_size=len(STRIKES)), st.floats(25_000, 27_000))
def test_strikes_without_both_prices_are_passed_over(gone: list[bool], spot: float) -> None:
    """The next ones are asked, by a search of all of them; without any pair it is the spot carried at the rate."""
    calls, puts = quoted()
    tilted = [c + k / 1000 for c, k in zip(calls, STRIKES, strict=True)]  # so that it matters which are asked
    calls = [nan if out else c for c, out in zip(tilted, gone, strict=True)]
    near = sorted((k for k, out in zip(STRIKES, gone, strict=True) if not out), key=lambda k: (abs(k - spot), k))[:NEAREST]
    told = sorted(FORWARD + k / 1000 / DISCOUNT for k in near)
    expected = (told[(len(told) - 1) // 2] + told[len(told) // 2]) / 2 if told else spot / DISCOUNT
    assert pytest.approx(expected, rel=1e-12) == forward(calls, puts, spot)


def test_nothing_to_go_by() -> None:
    """Neither pair nor spot, or prices whose forward is no price."""
    none = [nan] * len(STRIKES)
    assert (None, None) == (forward(none, none, None), forward([0.0] * len(STRIKES), [1e6] * len(STRIKES)))


@pytest.mark.parametrize(
    ("quote", "middle", "worth"),
    [
        ({"bid": 9.0, "ask": 11.0, "ltp": 1.0}, 10.0, 10.0),
        ({"bid": 9.0, "ask": 9.0, "ltp": 1.0}, 9.0, 9.0),
        ({"bid": 11.0, "ask": 9.0, "ltp": 1.0}, nan, 1.0),
        ({"bid": 0.0, "ask": 9.0, "ltp": 1.0}, nan, 1.0),
        ({"bid": 9.0, "ltp": 1.0}, nan, 1.0),
        ({"ask": 9.0, "ltp": 0.0}, nan, nan),
        ({"bid": nan, "ask": nan}, nan, nan),
        ({"bid": 1e308, "ask": 1.5e308}, 1.25e308, 1.25e308),
    ],
)
def test_price_of_an_option(quote: dict[str, Any], middle: float, worth: float) -> None:
    """The middle of a quote that has two sides and is not crossed, else a last price above 0."""
    option = Option(date(2026, 11, 24), 26_000.0, "CE", **quote)
    for expected, found in ((middle, mid(option)), (worth, price(option))):
        assert expected == found or (isnan(expected) and isnan(found))
