"""DhanHQ's answer to `POST /v2/optionchain`."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

import msgspec

from stockifyd.api import Reject
from stockifyd_optionchain.chain import Option, OptionType
from stockifyd_optionchain.instruments import Instrument
from stockifyd_optionchain.reading import decoded
from stockifyd_optionchain.vendors.envelope import Envelope, Quotes
from stockifyd_optionchain.vendors.units import Count, Percent, Rupees, change, fraction, whole


class Greeks(msgspec.Struct, frozen=True, gc=False):
    """Dhan's own."""

    delta: float
    theta: float
    gamma: float
    vega: float


class Side(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The call or the put of a strike. Prices in rupees, counts in units of the underlying, `implied_volatility` in percent."""

    average_price: Rupees | None = None
    greeks: Greeks | None = None
    implied_volatility: Percent | None = None
    last_price: Rupees
    oi: Count
    previous_close_price: Rupees | None = None
    previous_oi: Count | None = None
    previous_volume: Count | None = None
    top_ask_price: Rupees
    top_ask_quantity: Count
    top_bid_price: Rupees
    top_bid_quantity: Count
    volume: Count


class Pair(msgspec.Struct, frozen=True, gc=False):
    """Both options of a strike."""

    ce: Side | None = None
    pe: Side | None = None


class Data(msgspec.Struct, frozen=True, gc=False):
    """Spot, and the options by strike: the keys are such as `25650.000000`."""

    last_price: Rupees
    oc: dict[str, Pair]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The whole answer."""

    data: Data
    status: str = "success"


_answers = msgspec.json.Decoder(Answer)


def quotes(envelope: Envelope, _instrument: Instrument) -> Quotes:
    """Dhan sends neither expiry nor exchange time: the envelope's are the chain's."""
    data = decoded(_answers, envelope.payload, part="payload").data
    # JSON keeps no order of keys.
    strikes = sorted((_strike(index, key), pair) for index, (key, pair) in enumerate(data.oc.items()))
    options = [option for strike, pair in strikes for option in _options(envelope, strike, pair)]
    if not options:
        raise Reject("payload: data.oc: no option in it")
    return Quotes(envelope.received_at, data.last_price, options)


def _strike(index: int, key: str) -> float:
    try:
        strike = float(key)
    except ValueError:
        strike = 0.0
    if not (strike > 0 and isfinite(strike)):
        raise Reject(f"payload: data.oc: key {index} is no strike")
    return strike


def _options(envelope: Envelope, strike: float, pair: Pair) -> Iterator[Option]:
    if pair.ce is not None:
        yield _option(envelope, strike, "CE", side=pair.ce)
    if pair.pe is not None:
        yield _option(envelope, strike, "PE", side=pair.pe)


def _option(envelope: Envelope, strike: float, option_type: OptionType, *, side: Side) -> Option:
    oi = whole("oi", side.oi)
    prev_oi = None if side.previous_oi is None else whole("previous_oi", side.previous_oi)
    ltp, close = side.last_price or None, side.previous_close_price or None
    return Option(
        envelope.expiry,
        strike,
        option_type,
        ltp,
        side.top_bid_price,
        side.top_ask_price,
        whole("top_bid_quantity", side.top_bid_quantity),
        whole("top_ask_quantity", side.top_ask_quantity),
        close,
        change(ltp, close),
        whole("volume", side.volume),
        None if side.previous_volume is None else whole("previous_volume", side.previous_volume),
        oi,
        prev_oi,
        None if prev_oi is None else oi - prev_oi,
        fraction(side.implied_volatility),
    )
