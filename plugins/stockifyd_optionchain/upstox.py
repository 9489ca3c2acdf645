"""Upstox's answer to `GET /v2/option/chain`, in the envelope of `market.raw`, and what it says in the canonical form."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Literal

import msgspec

from stockifyd.api import Reject
from stockifyd_optionchain.chain import Chain, ChainContext, Option, OptionType, Time
from stockifyd_optionchain.figures import exchange_day, figures
from stockifyd_optionchain.reading import decoded

Whole = int | float
"""A count; Upstox writes some of them as 1250.0."""


class MarketData(msgspec.Struct, frozen=True, gc=False):
    """Prices in rupees; quantities, volume and open interest in units of the underlying."""

    ltp: float
    volume: Whole
    oi: Whole
    close_price: float
    bid_price: float
    bid_qty: Whole
    ask_price: float
    ask_qty: Whole
    prev_oi: Whole


class OptionGreeks(msgspec.Struct, frozen=True, gc=False):
    """Upstox's own; `iv` in percent, 0 where it was not solved."""

    vega: float
    theta: float
    gamma: float
    delta: float
    iv: float


class Side(msgspec.Struct, frozen=True, gc=False):
    """The call or the put of a strike."""

    instrument_key: str
    market_data: MarketData
    option_greeks: OptionGreeks


class StrikeRow(msgspec.Struct, frozen=True, gc=False):
    """Both options of a strike; `pcr` is that strike's alone."""

    expiry: date
    pcr: float | None
    strike_price: float
    underlying_key: str
    underlying_spot_price: float
    call_options: Side | None = None
    put_options: Side | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The whole answer."""

    status: str
    data: list[StrikeRow]


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A message of `market.raw`: what a vendor answered, to which question, and when."""

    received_at: Time
    vendor: Literal["upstox"]
    symbol: str
    symbol_id: int
    expiry: date
    payload: msgspec.Raw


_answers = msgspec.json.Decoder(Answer)


def canonical(envelope: Envelope) -> Chain:
    """The chain in the canonical form and units.

    Upstox sends no exchange time, so `received_at` is the chain's. Its greeks stay behind (their units are its own); its IV comes
    along as a fraction. Lot and tick size are the instrument's, which Upstox does not send: null.
    """
    rows = answer_of(envelope.payload).data
    options = [option for row in rows for option in _options_of(row)]
    if not options:
        raise Reject("data: no option in it")
    known = ChainContext(
        exchange=rows[0].underlying_key.partition("_")[0],
        segment="OPTIDX",
        spot_price=rows[0].underlying_spot_price,
    )
    computed = figures(options, exchange_day(envelope.received_at), known)
    context = msgspec.structs.replace(known, **computed._asdict())
    return Chain(envelope.received_at, envelope.symbol_id, envelope.symbol, options, context)


def enveloped(raw: bytes, *, symbol: str, symbol_id: int, received_at: datetime) -> Envelope:
    """An answer in its envelope, as ingestion sends it."""
    return Envelope(received_at, "upstox", symbol, symbol_id, answer_of(raw).data[0].expiry, msgspec.Raw(raw))


def answer_of(raw: bytes | msgspec.Raw) -> Answer:
    """An answer, typed; one without strikes is rejected (an expiry that is not listed, a holiday)."""
    answer = decoded(_answers, raw)
    if not answer.data:
        raise Reject("data: no strike in it")
    return answer


def _options_of(row: StrikeRow) -> Iterator[Option]:
    if row.call_options is not None:
        yield _option(row, "CE", row.call_options)
    if row.put_options is not None:
        yield _option(row, "PE", row.put_options)


def _option(row: StrikeRow, option_type: OptionType, side: Side) -> Option:
    data = side.market_data
    oi, prev_oi = _whole("oi", data.oi), _whole("prev_oi", data.prev_oi)
    return Option(
        row.expiry,
        row.strike_price,
        option_type,
        ltp=data.ltp,
        bid=data.bid_price,
        ask=data.ask_price,
        bid_qty=_whole("bid_qty", data.bid_qty),
        ask_qty=_whole("ask_qty", data.ask_qty),
        prev_close=data.close_price,
        price_change=round(data.ltp - data.close_price, 6),
        volume=_whole("volume", data.volume),
        oi=oi,
        prev_oi=prev_oi,
        oi_change=oi - prev_oi,
        # Percent to fraction in decimals: 14.32 is 0.1432.
        iv=round(side.option_greeks.iv / 100, 8) or None,
    )


def _whole(name: str, value: Whole) -> int:
    whole = int(value)
    if whole != value:
        raise Reject(f"market_data.{name}: expected a whole number")
    return whole
