"""One row of analytics for each expiry of a chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import compress
from typing import NamedTuple

import numpy as np

from stockifyd.api import Row
from stockifyd_optionchain.analytics.arrays import Marks
from stockifyd_optionchain.analytics.exposure import exposure, zero_gamma
from stockifyd_optionchain.analytics.levels import max_pain, resistance, support
from stockifyd_optionchain.analytics.market import Market, by_expiry, columns_of
from stockifyd_optionchain.analytics.mood import Components, MoodWeights, balance, mood, pull
from stockifyd_optionchain.analytics.smile import Skew, at_forward, by_strike, skew
from stockifyd_optionchain.buildup import Pressure
from stockifyd_optionchain.chain import Chain, Option
from stockifyd_optionchain.figures import EXACT, put_call_ratio
from stockifyd_optionchain.settlement import moment


class Wishes(NamedTuple):
    """What the options of `summarise_chain` say; rate a fraction a year."""

    rate: float
    level_count: int
    zero_gamma_range_pct: float
    weights: MoodWeights


class Smile(NamedTuple):
    """The forward, and what the volatilities say of it; None where it is not defined."""

    forward: float | None
    atm_iv: float | None
    skew: Skew
    zero_gamma: float | None


def rows_of(chain: Chain, wishes: Wishes, pressures: Mapping[date, Pressure]) -> Iterator[Row]:
    """The rows, in the order of expiry; Reject of a time beyond the calendar. `pressures`: the build-up of each expiry."""
    head = (moment(chain.timestamp)[0], chain.symbol_id)
    columns = columns_of(chain)
    for expiry, places in by_expiry(columns).items():
        options = chain.options if isinstance(places, slice) else [chain.options[at] for at in places]
        with np.errstate(all="ignore"):
            market = Market.of(chain, columns, places, expiry=expiry, rate=wishes.rate)
            yield (*head, expiry, *_figures(market, options, wishes, pressures.get(expiry)))


def _figures(market: Market, options: Sequence[Option], wishes: Wishes, pressure: Pressure | None) -> Row:
    spot, count = market.spot, wishes.level_count
    oi, volume = _sides(market, "oi"), _sides(market, "volume")
    pain, gex, smile = max_pain(market, options), exposure(market), _smile(market, wishes)
    low, high = support(market, options, count), resistance(market, options, count)
    components = Components(
        pcr_oi=balance(oi[1], oi[0]),
        pcr_volume=balance(volume[1], volume[0]),
        max_pain=pull(pain, spot, smile.atm_iv, market.years),
        gex=None if gex.call_gex is None or gex.put_gex is None else balance(gex.call_gex, -gex.put_gex),
        skew=balance(smile.skew.call_iv_25d, smile.skew.put_iv_25d),
        levels=balance(sum(low.oi), sum(high.oi)),
        buildup=None if pressure is None else balance(pressure.bullish, pressure.bearish),
    )
    return (
        *(spot, smile.forward, put_call_ratio(oi[1], oi[0]), put_call_ratio(volume[1], volume[0]), pain),
        *(*gex, smile.zero_gamma, smile.atm_iv, *smile.skew),
        *(*low, *high),
        *(*components, mood(components, wishes.weights)),
    )


def _sides(market: Market, name: str) -> tuple[int | None, int | None]:
    """What the calls and the puts add up to, in whole numbers; None where no option of a side tells."""
    values = market.column(name)
    known = np.isfinite(values)
    return _total(market, name, known & market.is_call), _total(market, name, known & ~market.is_call)


def _total(market: Market, name: str, side: Marks) -> int | None:
    if not side.any():
        return None
    total = market.column(name)[side].sum()
    return int(total) if total < EXACT else sum(compress(market.values(name), side.tolist()))


def _smile(market: Market, wishes: Wishes) -> Smile:
    forward = market.forward(market.prices(market.middles))
    if forward is None:
        return Smile(None, None, Skew(None, None, None, None), None)
    volatility = by_strike(market.strikes >= forward, *market.sides(market.column("iv")))
    atm_iv = at_forward(market.strikes, volatility, forward)
    wings = skew(market.strikes, volatility, market.sides(market.column("delta")), forward=forward, atm_iv=atm_iv)
    return Smile(forward, atm_iv, wings, zero_gamma(market, forward, volatility, wishes.zero_gamma_range_pct))
