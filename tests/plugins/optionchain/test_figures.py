"""Figures of an expiry, against their definitions."""
# what is expected stands first in an assert

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from stockifyd_optionchain.chain import Option, OptionType
from stockifyd_optionchain.figures import difference, max_pain, put_call_ratio, total_oi

EXPIRY = date(2026, 11, 24)
SIDES: tuple[OptionType, OptionType] = ("CE", "PE")
OI = st.none() | st.integers(0, 2**40)
STRIKES = st.dictionaries(st.integers(1, 2000).map(lambda n: n * 12.5), st.tuples(OI, OI), min_size=1, max_size=30)


def options_of(strikes: dict[float, tuple[int | None, int | None]]) -> list[Option]:
    return [Option(EXPIRY, k, side, oi=oi) for k, both in strikes.items() for side, oi in zip(SIDES, both, strict=True)]


def paid_at(settled: float, options: list[Option]) -> float:
    """What all holders are paid if the underlying settles there: the definition, term by term."""
    signs = {"CE": 1, "PE": -1}
    return sum((o.oi or 0) * max(signs[o.option_type] * (settled - o.strike), 0) for o in options)


@given(STRIKES)
def test_max_pain_is_the_cheapest_strike(strikes: dict[float, tuple[int | None, int | None]]) -> None:
    """Max pain is the lowest listed strike of those at which least is paid; null where there is no open interest."""
    options = options_of(strikes)
    expected = min(sorted(strikes), key=lambda k: paid_at(k, options)) if any(o.oi for o in options) else None
    assert expected == max_pain(options)


@given(STRIKES)
def test_totals(strikes: dict[float, tuple[int | None, int | None]]) -> None:
    """The total of a side is the sum of what is known, and null where nothing is."""
    calls = [oi for oi, _ in strikes.values() if oi is not None]
    assert (sum(calls) if calls else None) == total_oi(options_of(strikes), "CE")


def test_ratio() -> None:
    """Puts over calls; null without calls or where either is unknown."""
    assert [1.5, 0.0, None, None, None] == [put_call_ratio(p, c) for p, c in ((3, 2), (0, 2), (3, 0), (3, None), (None, 2))]


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_difference_of_decimals(now: int, before: int) -> None:
    """Of prices with four decimals, below a billion: the decimal difference, to the last digit."""
    expected = float((Decimal(now) - Decimal(before)) / 10_000)
    assert expected == difference(now / 10_000, before / 10_000)


@given(st.floats(), st.floats())
def test_difference_of_anything(now: float, before: float) -> None:
    """It never fails: null where one is not known, else what floats make of it, to a millionth or some ulp."""
    found, plain = difference(now, before), now - before
    assert (None, None) == (difference(None, before), difference(now, None))
    assert found is not None
    assert math.isclose(found, plain, rel_tol=2e-15, abs_tol=6e-7) or (math.isnan(found) and math.isnan(plain))
