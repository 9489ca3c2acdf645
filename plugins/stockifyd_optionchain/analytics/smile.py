"""What the implied volatilities of an expiry say: at the forward, and how its wings differ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stockifyd_optionchain.analytics.arrays import Floats, number

WING = 0.25


class Skew(NamedTuple):
    """Volatilities, fractions a year, where a call's delta is 0.25 and a put's -0.25; and what that makes of the smile."""

    call_iv_25d: float | None
    put_iv_25d: float | None
    risk_reversal_25d: float | None
    butterfly_25d: float | None


def by_strike(above: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], calls: Floats, puts: Floats) -> Floats:
    """The volatility of each strike: the out-of-the-money option's, else the other's."""
    outer, inner = np.where(above, calls, puts), np.where(above, puts, calls)
    return np.where(np.isnan(outer), inner, outer)


def at_forward(strikes: Floats, volatility: Floats, forward: float) -> float | None:
    """The volatility at the forward, by a straight line between the strikes beside it that have one; None outside of them.

    `strikes` rise. Error: that of the line, an eighth of the strikes' distance squared times the smile's curvature.
    """
    known = np.isfinite(volatility)
    found = np.interp(forward, strikes[known], volatility[known], left=np.nan, right=np.nan) if known.any() else np.nan
    return number(float(found))


def skew(strikes: Floats, volatility: Floats, deltas: tuple[Floats, Floats], *, forward: float, atm_iv: float | None) -> Skew:
    """25-delta volatilities, the risk reversal (call less put) and the butterfly (their mean less `atm_iv`).

    `deltas` are the calls' and the puts', by strike, by the forward. None where the wing does not reach that far. Error: that of
    a straight line in delta between two strikes.
    """
    first = max(int(np.searchsorted(strikes, forward, side="right")) - 1, 0)
    last = int(np.searchsorted(strikes, forward, side="left")) + 1
    call = _at_delta(deltas[0][first:], volatility[first:])
    put = _at_delta(-deltas[1][:last][::-1], volatility[:last][::-1])
    if call is None or put is None:
        return Skew(call, put, None, None)
    return Skew(call, put, call - put, None if atm_iv is None else (call + put) / 2 - atm_iv)


def _at_delta(delta: Floats, volatility: Floats) -> float | None:
    """The volatility where delta, from the money outwards, first falls to WING."""
    known = np.isfinite(delta) & np.isfinite(volatility)
    delta, volatility = delta[known], volatility[known]
    reached = np.flatnonzero(delta <= WING)
    if not len(reached) or reached[0] == 0:
        return None
    inside, outside = int(reached[0]) - 1, int(reached[0])
    share = (delta[inside] - WING) / (delta[inside] - delta[outside])
    return number(volatility[inside] + share * (volatility[outside] - volatility[inside]))
