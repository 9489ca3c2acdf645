"""Gamma exposure: what dealers who sold the puts and bought the calls must trade when the underlying moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stockifyd_optionchain.analytics.arrays import Floats, known_or_nil, number
from stockifyd_optionchain.analytics.market import Market

A_PERCENT = 0.01
STEPS, NEAR = 20, 4
"""Levels looked at on each side of spot, and those of them that are looked at first."""
ROUNDS, CLOSE = 60, 1e-10
FARTHEST, NEGLIGIBLE = 400.0, 1e-80
"""Densities farther out than 20 standard deviations are taken for less than NEGLIGIBLE, which is nil."""


class Exposure(NamedTuple):
    """Rupees of the underlying for a move of one percent; calls count plus, puts minus."""

    call_gex: float | None
    put_gex: float | None
    net_gex: float | None


def exposure(market: Market) -> Exposure:
    """The sums over strikes of gamma * OI * spot^2 * 0.01, with OI in units: no lot size, it would count twice.

    An option whose gamma or OI is not known is left out; all three are None without a spot, or where none is known. Error: the
    sums', 1e-13 relative to the sum of the absolute values.
    """
    spot = np.float64(market.spot or np.nan)
    each = market.column("gamma") * market.column("oi") * (spot * spot * A_PERCENT)
    known = np.isfinite(each)
    if not known.any():
        return Exposure(None, None, None)
    calls, puts = each[known & market.is_call].sum(), -each[known & ~market.is_call].sum()
    return Exposure(number(calls), number(puts), number(calls + puts))


def zero_gamma(market: Market, forward: float, volatility: Floats, range_pct: float) -> float | None:
    """The level of spot nearest to it at which net gamma exposure is nil, within `range_pct` percent; None if there is none.

    Gamma is Black-76 at each strike's own `volatility`, which stays with it, and the forward moves with spot. The sign is looked
    at in STEPS steps on each side: two changes within a step of range_pct / STEPS percent are not seen. Error: 1e-9 relative,
    where net exposure crosses nil at an angle.
    """
    calls, puts = market.sides(market.column("oi"))
    interest = known_or_nil(calls) - known_or_nil(puts)
    known = (volatility > 0) & (interest != 0)
    if market.spot is None or not known.any():
        return None
    deviation, weight = volatility[known] * np.sqrt(market.years), interest[known]
    d1, a_move = np.log(forward / market.strikes[known]) / deviation + deviation / 2, 1 / deviation
    weight = weight / deviation / np.abs(weight / deviation).sum()

    def net(move: float) -> float:
        """Net gamma, times positive factors that are the same for all options, at a log move of spot."""
        return float(np.exp(-0.5 * (move * a_move + d1) ** 2) @ weight)

    moves = np.log1p(np.linspace(-range_pct / 100, range_pct / 100, 2 * STEPS + 1))
    for reach in (NEAR, STEPS):
        within = moves[STEPS - reach : STEPS + reach + 1]
        if (bracket := _nearest_change(_nets(within, a_move, d1, weight))) is not None:
            return number(market.spot * math.exp(_crossing(net, *(float(within[at]) for at in bracket))))
    return None


def _nets(moves: Floats, a_move: Floats, d1: Floats, weight: Floats) -> Floats:
    """`net` at several moves; nil where it is next to nil, which would be slow to compute, and whose sign says nothing."""
    distances = moves[:, None] * a_move + d1
    distances *= distances
    np.minimum(distances, FARTHEST, out=distances)
    distances *= -0.5
    found: Floats = np.exp(distances, out=distances) @ weight
    return np.where(np.abs(found) > NEGLIGIBLE, found, 0.0)


def _nearest_change(values: Floats) -> tuple[int, int] | None:
    """The two places, nearest to the middle, between which the sign changes; nil is no sign."""
    signed = np.flatnonzero(values)
    changes = np.flatnonzero(np.sign(values[signed[:-1]]) * np.sign(values[signed[1:]]) < 0)
    if not len(changes):
        return None
    nearest = changes[np.argmin(np.abs(signed[changes] + signed[changes + 1] - len(values) + 1))]
    return int(signed[nearest]), int(signed[nearest + 1])


def _crossing(net: Callable[[float], float], low: float, high: float) -> float:
    """Where `net` is nil between two places of unlike sign: regula falsi, the Illinois way (Dowell and Jarratt, 1971)."""
    below, above = net(low), net(high)
    for _ in range(ROUNDS):
        middle = high - above * (high - low) / (above - below)
        found = net(middle)
        if found == 0 or abs(high - low) < CLOSE:
            return middle
        if found * above < 0:
            low, below = high, above
        else:
            below /= 2
        high, above = middle, found
    return high
