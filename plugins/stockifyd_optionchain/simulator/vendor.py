"""A canonical chain as Upstox would have answered it, in the envelope of `market.raw`."""

from __future__ import annotations

import msgspec

from stockifyd_optionchain.chain import Chain, Option
from stockifyd_optionchain.figures import put_call_ratio
from stockifyd_optionchain.simulator.underlyings import UNDERLYINGS
from stockifyd_optionchain.upstox import Answer, Envelope, MarketData, OptionGreeks, Side, StrikeRow

_encode = msgspec.json.Encoder().encode


def envelope_of(chain: Chain) -> Envelope:
    """The envelope around the vendor's form of a simulated chain: call and put of each strike side by side."""
    options, vendor_key = chain.options, UNDERLYINGS[chain.symbol].vendor_key
    spot = (chain.context.spot_price if chain.context else None) or 0.0
    rows = [_row(call, put, vendor_key, spot) for call, put in zip(options[::2], options[1::2], strict=True)]
    payload = msgspec.Raw(_encode(Answer("success", rows)))
    return Envelope(chain.timestamp, "upstox", chain.symbol, chain.symbol_id, options[0].expiry, payload)


def _row(call: Option, put: Option, vendor_key: str, spot: float) -> StrikeRow:
    ratio = put_call_ratio(put.oi, call.oi)
    pcr = None if ratio is None else round(ratio, 4)
    return StrikeRow(call.expiry, pcr, call.strike, vendor_key, spot, _side(call, vendor_key), _side(put, vendor_key))


def _side(option: Option, vendor_key: str) -> Side:
    return Side(
        f"{vendor_key.partition('_')[0]}_FO|{option.strike:.0f}{option.option_type}",
        MarketData(
            option.ltp or 0.0,
            option.volume or 0,
            option.oi or 0,
            option.prev_close or 0.0,
            option.bid or 0.0,
            option.bid_qty or 0,
            option.ask or 0.0,
            option.ask_qty or 0,
            option.prev_oi or 0,
        ),
        OptionGreeks(
            option.vega or 0.0, option.theta or 0.0, option.gamma or 0.0, option.delta or 0.0, round((option.iv or 0) * 100, 4)
        ),
    )
