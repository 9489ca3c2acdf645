"""A canonical chain as a vendor would have answered it, in the envelope of `market.raw`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from stockifyd_optionchain.chain import Chain, Option
from stockifyd_optionchain.figures import INDIA, put_call_ratio
from stockifyd_optionchain.simulator.underlyings import UNDERLYINGS, Underlying
from stockifyd_optionchain.vendors import Envelope, dhan, nse, upstox
from stockifyd_optionchain.vendors.envelope import Vendor

_encode = msgspec.json.Encoder().encode

Pairs = Iterator[tuple[Option, Option]]


def enveloped(chain: Chain, vendor: Vendor) -> Envelope:
    """The envelope around a vendor's form of a simulated chain: call and put of each strike side by side."""
    answer = FORMS[vendor](chain, UNDERLYINGS[chain.symbol])
    return Envelope(
        received_at=chain.timestamp,
        vendor=vendor,
        symbol=chain.symbol,
        symbol_id=chain.symbol_id,
        expiry=chain.options[0].expiry,
        payload=msgspec.Raw(_encode(answer)),
    )


def _upstox(chain: Chain, underlying: Underlying) -> upstox.Answer:
    key, spot = underlying.vendor_key, _spot(chain)
    exchange = underlying.exchange

    def side(option: Option) -> upstox.Side:
        data = upstox.MarketData(
            option.ltp or 0.0,
            option.volume or 0,
            option.oi or 0,
            option.prev_close or 0.0,
            option.bid or 0.0,
            option.bid_qty or 0,
            option.ask or 0.0,
            option.ask_qty or 0,
            option.prev_oi or 0,
        )
        return upstox.Side(f"{exchange}_FO|{option.strike:.0f}{option.option_type}", data, _upstox_greeks(option))

    def row(call: Option, put: Option) -> upstox.StrikeRow:
        ratio = put_call_ratio(put.oi, call.oi)
        pcr = None if ratio is None else round(ratio, 4)
        return upstox.StrikeRow(call.expiry, pcr, call.strike, key, spot, side(call), side(put))

    return upstox.Answer("success", [row(call, put) for call, put in _pairs(chain)])


def _upstox_greeks(option: Option) -> upstox.OptionGreeks:
    return upstox.OptionGreeks(
        option.vega or 0.0, option.theta or 0.0, option.gamma or 0.0, option.delta or 0.0, _percent(option)
    )


def _dhan(chain: Chain, _underlying: Underlying) -> dhan.Answer:
    strikes = {f"{call.strike:.6f}": dhan.Pair(_dhan_side(call), _dhan_side(put)) for call, put in _pairs(chain)}
    return dhan.Answer(dhan.Data(_spot(chain), strikes))


def _dhan_side(option: Option) -> dhan.Side:
    return dhan.Side(
        average_price=option.ltp,
        greeks=dhan.Greeks(option.delta or 0.0, option.theta or 0.0, option.gamma or 0.0, option.vega or 0.0),
        implied_volatility=_percent(option),
        last_price=option.ltp or 0.0,
        oi=option.oi or 0,
        previous_close_price=option.prev_close or 0.0,
        previous_oi=option.prev_oi or 0,
        previous_volume=option.prev_volume or 0,
        top_ask_price=option.ask or 0.0,
        top_ask_quantity=option.ask_qty or 0,
        top_bid_price=option.bid or 0.0,
        top_bid_quantity=option.bid_qty or 0,
        volume=option.volume or 0,
    )


def _nse(chain: Chain, underlying: Underlying) -> nse.Answer:
    """Counts in contracts, the time in whole seconds of India's."""
    lot, spot, expiry = underlying.lot_size, _spot(chain), nse.in_words(chain.options[0].expiry)

    def side(option: Option) -> nse.Side:
        return nse.Side(
            open_interest=(option.oi or 0) // lot,
            changein_open_interest=(option.oi_change or 0) // lot,
            total_traded_volume=(option.volume or 0) // lot,
            implied_volatility=_percent(option),
            last_price=option.ltp or 0.0,
            change=option.price_change or 0.0,
            bid_qty=option.bid_qty or 0,
            bidprice=option.bid or 0.0,
            ask_qty=option.ask_qty or 0,
            ask_price=option.ask or 0.0,
            underlying_value=spot,
        )

    rows = [
        nse.StrikeRow(strike_price=call.strike, expiry_date=expiry, call=side(call), put=side(put)) for call, put in _pairs(chain)
    ]
    at = chain.timestamp.astimezone(INDIA)
    return nse.Answer(nse.Records(spot, f"{nse.in_words(at.date())} {at:%H:%M:%S}", rows))


def _pairs(chain: Chain) -> Pairs:
    return zip(chain.options[::2], chain.options[1::2], strict=True)


def _spot(chain: Chain) -> float:
    return (chain.context.spot_price if chain.context else None) or 0.0


def _percent(option: Option) -> float:
    return round((option.iv or 0) * 100, 4)


FORMS: Mapping[Vendor, Callable[[Chain, Underlying], msgspec.Struct]] = {"upstox": _upstox, "dhan": _dhan, "nse": _nse}
