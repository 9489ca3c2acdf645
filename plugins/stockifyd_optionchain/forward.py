"""The forward of an expiry, implied by put-call parity."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from itertools import islice
from math import inf, isfinite, nan
from statistics import median
from typing import Annotated

from msgspec import Meta

from stockifyd_optionchain.chain import Option

NEAREST = 5
"""Strikes that are asked; the median of them is not moved by one that is quoted badly."""

RatePct = Annotated[
    float, Meta(ge=-50, le=100, description="Risk-free rate in percent a year, continuously compounded.", examples=[6.5])
]


def mid(option: Option) -> float:
    """The middle of bid and ask, in rupees; NaN where either is 0 or null, or where they are crossed. Locked is fine."""
    bid, ask = option.bid, option.ask
    return bid / 2 + ask / 2 if bid and ask and 0 < bid <= ask < inf else nan


def price(option: Option) -> float:
    """What an option is worth, in rupees: the middle of its quote, else its last price; NaN where there is neither."""
    middle = mid(option)
    return middle if middle == middle else option.ltp or nan  # noqa: PLR0124  NaN is not itself


def implied_forward(
    strikes: Sequence[float], calls: Sequence[float], puts: Sequence[float], *, spot: float | None, discount: float
) -> float | None:
    """The forward in rupees: the median of K + (C - P) / `discount` over the NEAREST strikes to the money that have both prices.

    `strikes` rise; prices are NaN where there are none. The money is at the spot; without one, where call and put differ least.
    Without any pair the forward is the spot carried at the rate, spot / `discount`; without a spot, None.

    Source: H. Stoll, "The relationship between put and call option prices", 1969. Error: half the spreads of a strike's call and
    put, over `discount`, for that strike's own value; the arithmetic adds 4 ulp.
    """
    if spot is None:
        differences = [(abs(c - p), at) for at, (c, p) in enumerate(zip(calls, puts, strict=True)) if isfinite(c - p)]
        near = [at for _, at in nsmallest(NEAREST, differences)]
    else:
        near = list(islice((at for at in _outwards(strikes, spot) if isfinite(calls[at] - puts[at])), NEAREST))
    parity = [strikes[at] + (calls[at] - puts[at]) / discount for at in near]
    found = median(parity) if parity else (spot or nan) / discount
    return found if 0 < found < inf else None


def _outwards(strikes: Sequence[float], spot: float) -> Iterator[int]:
    """Where the strikes are, the nearest to spot first; of equals the lower one."""
    above = bisect_left(strikes, spot)
    below = above - 1
    while below >= 0 or above < len(strikes):
        if below >= 0 and (above == len(strikes) or spot - strikes[below] <= strikes[above] - spot):
            yield below
            below -= 1
        else:
            yield above
            above += 1
