"""Chains whose options have the prices that a forward and volatilities give them, by 40-digit arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from kit import precise
from stockifyd_optionchain.chain import Chain, ChainContext, Option, OptionType
from stockifyd_optionchain.settlement import settles_at

EXPIRY = date(2026, 11, 24)
SIDES: tuple[tuple[OptionType, int], ...] = (("CE", 1), ("PE", -1))


def instant(before: timedelta, expiry: date = EXPIRY) -> datetime:
    """So long before an expiry settles."""
    return (settles_at(expiry) - before).astimezone(UTC)


def priced_chain(
    forward: float,
    strikes: Sequence[float],
    *,
    before: timedelta = timedelta(days=5),
    rate: float = 0.065,
    iv: Callable[[float], float] = lambda _strike: 0.13,
    **fields: Any,
) -> Chain:
    """Both options of each strike, quoted at their price (locked), with `fields`. Spot is the forward, discounted."""
    years = before / timedelta(days=365)
    options = []
    for strike in strikes:
        for option_type, side in SIDES:
            worth = float(precise.price(side, forward, strike, years=years, rate=rate, iv=iv(strike)))
            options.append(Option(EXPIRY, strike, option_type, ltp=worth, bid=worth, ask=worth, **fields))
    spot = forward * float(precise.discount(rate, years))
    return Chain(instant(before), 13, "NIFTY", options, ChainContext(spot_price=spot))
