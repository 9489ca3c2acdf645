"""Upstox's answer to `GET /v2/option/chain`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import msgspec

from stockifyd.api import Reject
from stockifyd_optionchain.chain import Option, OptionType, Strike
from stockifyd_optionchain.instruments import Instrument
from stockifyd_optionchain.reading import decoded
from stockifyd_optionchain.vendors.envelope import Envelope, Quotes
from stockifyd_optionchain.vendors.units import Count, Percent, Rupees, change, fraction, whole


class MarketData(msgspec.Struct, frozen=True, gc=False):
    """Prices in rupees; quantities, volume and open interest in units of the underlying."""

    ltp: Rupees
    volume: Count
    oi: Count
    close_price: Rupees
    bid_price: Rupees
    bid_qty: Count
    ask_price: Rupees
    ask_qty: Count
    prev_oi: Count


class OptionGreeks(msgspec.Struct, frozen=True, gc=False):
    """Upstox's own; `iv` in percent, 0 where it was not solved."""

    vega: float
    theta: float
    gamma: float
    delta: float
    iv: Percent


class Side(msgspec.Struct, frozen=True, gc=False):
    """The call or the put of a strike."""

    instrument_key: str
    market_data: MarketData
    option_greeks: OptionGreeks


class StrikeRow(msgspec.Struct, frozen=True, gc=False):
    """Both options of a strike; `pcr` is that strike's alone."""

    expiry: date
    pcr: float | None
    strike_price: Strike
    underlying_key: str
    underlying_spot_price: Rupees
    call_options: Side | None = None
    put_options: Side | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The whole answer."""

    status: str
    data: list[StrikeRow]


_answers = msgspec.json.Decoder(Answer)


def quotes(envelope: Envelope, _instrument: Instrument) -> Quotes:
    """Upstox sends no exchange time: `received_at` is the chain's."""
    rows = answer_of(envelope.payload).data
    for index, row in enumerate(rows):
        if row.expiry != envelope.expiry:
            raise Reject(f"payload: data[{index}].expiry: not the expiry that was asked for")
    options = [option for row in rows for option in _options(row)]
    if not options:
        raise Reject("payload: data: no option in it")
    return Quotes(envelope.received_at, rows[0].underlying_spot_price, options)


def answer_of(raw: bytes | msgspec.Raw) -> Answer:
    """An answer, typed; one without strikes is rejected (an expiry that is not listed, a holiday)."""
    answer = decoded(_answers, raw, part="payload")
    if not answer.data:
        raise Reject("payload: data: no strike in it")
    return answer


def _options(row: StrikeRow) -> Iterator[Option]:
    if row.call_options is not None:
        yield _option(row, "CE", row.call_options)
    if row.put_options is not None:
        yield _option(row, "PE", row.put_options)


def _option(row: StrikeRow, option_type: OptionType, side: Side) -> Option:
    data = side.market_data
    oi, prev_oi = whole("market_data.oi", data.oi), whole("market_data.prev_oi", data.prev_oi)
    ltp, close = data.ltp or None, data.close_price or None
    return Option(
        row.expiry,
        row.strike_price,
        option_type,
        ltp,
        data.bid_price,
        data.ask_price,
        whole("market_data.bid_qty", data.bid_qty),
        whole("market_data.ask_qty", data.ask_qty),
        close,
        change(ltp, close),
        whole("market_data.volume", data.volume),
        None,
        oi,
        prev_oi,
        oi - prev_oi,
        fraction(side.option_greeks.iv),
    )
