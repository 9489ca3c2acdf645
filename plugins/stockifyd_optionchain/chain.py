"""The canonical option chain, as topic `market.enriched` carries it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

INT4_MAX = 2**31 - 1
INT8_MAX = 2**63 - 1

# msgspec checks these bounds in C while it decodes: they cost nothing that can be measured.
Time = Annotated[datetime, Meta(tz=True)]
Price = Annotated[float, Meta(ge=0)]
Strike = Annotated[float, Meta(gt=0)]
Quantity = Annotated[int, Meta(ge=0, le=INT8_MAX)]
Change = Annotated[int, Meta(ge=-INT8_MAX, le=INT8_MAX)]
Number = Annotated[int, Meta(ge=0, le=INT4_MAX)]
Days = Annotated[int, Meta(ge=-INT4_MAX, le=INT4_MAX)]
OptionType = Literal["CE", "PE"]
Quality = Annotated[str, Meta(pattern="^[a-z_]+(,[a-z_]+)*$", max_length=200)]
"""The rules of `check_chain` that are broken, with commas between; null where none is."""


class Option(msgspec.Struct, frozen=True, gc=False):
    """One option. Its fields stand in the order of the table's columns, so that a row is `head + astuple(option)`."""

    expiry: date
    strike: Strike
    option_type: OptionType
    ltp: Price | None = None
    bid: Price | None = None
    ask: Price | None = None
    bid_qty: Quantity | None = None
    ask_qty: Quantity | None = None
    prev_close: Price | None = None
    price_change: float | None = None
    volume: Quantity | None = None
    prev_volume: Quantity | None = None
    oi: Quantity | None = None
    prev_oi: Quantity | None = None
    oi_change: Change | None = None
    iv: Price | None = None
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None
    rho: float | None = None
    quality: Quality | None = None


class ChainContext(msgspec.Struct, frozen=True, gc=False):
    """What holds for a whole chain; null where the sender does not know."""

    exchange: str | None = None
    segment: str | None = None
    spot_price: Price | None = None
    spot_change: float | None = None
    spot_change_pct: float | None = None
    total_call_oi: Quantity | None = None
    total_put_oi: Quantity | None = None
    pcr_ratio: Price | None = None
    atm_iv: Price | None = None
    atm_iv_change: float | None = None
    max_pain_strike: Price | None = None
    days_to_expiry: Days | None = None
    lot_size: Number | None = None
    tick_size: Price | None = None
    quality: Quality | None = None


class Chain(msgspec.Struct, frozen=True, gc=False):
    """The options of one underlying at one instant, of one expiry or of several."""

    timestamp: Time
    symbol_id: Number
    symbol: str
    options: Annotated[list[Option], Meta(min_length=1)]
    context: ChainContext | None = None
