"""A chain with the volatilities and greeks that its prices imply, in place of whatever was there."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from stockifyd_optionchain.analytics.arrays import nulls
from stockifyd_optionchain.analytics.implied import NAMES, implied
from stockifyd_optionchain.analytics.market import AT, Market, by_expiry, columns_of
from stockifyd_optionchain.analytics.smile import at_forward
from stockifyd_optionchain.chain import Chain, ChainContext, Option


def enriched(chain: Chain, rate: float) -> Chain:
    """The chain with our greeks, and `atm_iv` where it holds one expiry. `rate` is a fraction a year, continuous."""
    columns = columns_of(chain)
    values = np.full((len(NAMES), len(chain.options)), np.nan)
    groups, atm_iv = by_expiry(columns), None
    with np.errstate(all="ignore"):  # prices may be as absurd as a float allows: what comes of them is null
        for expiry, places in groups.items():
            market = Market.of(chain, columns, places, expiry=expiry, rate=rate)
            if (found := implied(market)) is not None:
                values[:, places] = found.values
                atm_iv = at_forward(market.strikes, found.volatility, found.forward)
    for name, column in zip(NAMES, nulls(values), strict=True):
        columns[AT[name]] = column
    # A context describes one expiry.
    context = chain.context if len(groups) > 1 else replace(chain.context or ChainContext(), atm_iv=atm_iv)
    return replace(chain, options=list(map(Option, *columns)), context=context)
