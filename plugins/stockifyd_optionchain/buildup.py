"""Open interest build-up: what a change of price and one of open interest say together of an option."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stockifyd_optionchain.chain import OptionType

LONG_BUILDUP, SHORT_BUILDUP = "long_buildup", "short_buildup"
LONG_UNWINDING, SHORT_COVERING = "long_unwinding", "short_covering"
RISING = frozenset((LONG_BUILDUP, SHORT_COVERING))
"""Those of an option whose price went up."""


class Pressure(NamedTuple):
    """Units of open interest that came or went, by what that says of the underlying."""

    bullish: int
    bearish: int


def classify(price_change: float | None, oi_change: int | None) -> str | None:
    """Price up and OI up: new longs; price down, OI up: new shorts; both down: longs leave; price up, OI down: shorts cover.

    Prices in rupees, OI in units, both since the same moment. None where one of them is not known or did not move (NaN neither).
    """
    if not price_change or not oi_change:
        return None
    if price_change > 0:
        return LONG_BUILDUP if oi_change > 0 else SHORT_COVERING
    if price_change < 0:
        return SHORT_BUILDUP if oi_change > 0 else LONG_UNWINDING
    return None


def pressure(sides: Sequence[OptionType], moved: Sequence[int | None], found: Sequence[str | None]) -> Pressure:
    """What options' build-ups say of the underlying, weighed by the change of OI; an entry of each sequence is an option's.

    A call bought or covered is bullish, one written or left is bearish; a put the other way round.
    """
    known = [(side, abs(oi), kind) for side, oi, kind in zip(sides, moved, found, strict=True) if kind and oi]
    bullish = sum([oi for side, oi, kind in known if (kind in RISING) == (side == "CE")])
    return Pressure(bullish, sum([oi for _, oi, _ in known]) - bullish)
