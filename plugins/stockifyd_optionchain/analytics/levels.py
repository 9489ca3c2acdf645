"""Where most open interest stands (support, resistance), and where holders are paid least (max pain)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stockifyd_optionchain import figures
from stockifyd_optionchain.analytics.arrays import Marks, known_or_nil
from stockifyd_optionchain.analytics.market import Market
from stockifyd_optionchain.chain import Option


class Levels(NamedTuple):
    """Strikes, the most open interest first, each with that and with its change (None where it is not known); in units."""

    strikes: list[float]
    oi: list[int]
    oi_change: list[int | None]


def support(market: Market, options: Sequence[Option], count: int) -> Levels:
    """The `count` strikes below spot with most put OI; of equals the nearest to spot first. None without a spot."""
    return _levels(market, options, ~market.is_call & (market.strike < (market.spot or -np.inf)), count)


def resistance(market: Market, options: Sequence[Option], count: int) -> Levels:
    """The `count` strikes above spot with most call OI; of equals the nearest to spot first. None without a spot."""
    return _levels(market, options, market.is_call & (market.strike > (market.spot or np.inf)), count)


def max_pain(market: Market, options: Sequence[Option]) -> float | None:
    """As `figures.max_pain`, which says how, in a tenth of its time; the same to the last digit."""
    interest = known_or_nil(market.column("oi"))
    at_strike = np.bincount(market.place, interest)
    total = at_strike.sum()
    if not 0 < total < figures.EXACT:
        return figures.max_pain(options)
    right = np.cumsum(at_strike) - interest[~market.is_call].sum()
    return float(market.strikes[np.argmax(right >= 0)])


def _levels(market: Market, options: Sequence[Option], fit: Marks, count: int) -> Levels:
    interest = market.column("oi")
    at = np.flatnonzero(fit & (interest > 0))
    order = np.lexsort((np.abs(market.strike[at] - (market.spot or 0.0)), -interest[at]))
    found = [options[place] for place in at[order[:count]]]
    return Levels([o.strike for o in found], [o.oi or 0 for o in found], [figures.oi_change(o) for o in found])
