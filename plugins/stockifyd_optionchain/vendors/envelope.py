"""A message of `market.raw`: what a vendor answered, to which question, and when."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, NamedTuple

import msgspec

from stockifyd.api import Message, Reject
from stockifyd_optionchain.chain import Number, Option, Time
from stockifyd_optionchain.reading import decoded

Vendor = Literal["upstox", "dhan", "nse"]


class Envelope(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`expiry` is the one that was asked for; `symbol_id` may be left to the instruments file."""

    received_at: Time
    vendor: Vendor
    symbol: str
    symbol_id: Number | None = None
    expiry: date
    payload: msgspec.Raw


class Quotes(NamedTuple):
    """What a vendor's payload says: the chain's time, the price of the underlying, the options."""

    timestamp: datetime
    spot: float | None
    options: list[Option]


_envelopes = msgspec.json.Decoder(Envelope)


def envelope_of(message: Message) -> Envelope:
    """The envelope of a message: of its bytes, or of the value that a transform before made of them."""
    if isinstance(message.value, Envelope):
        return message.value
    if message.value is None:
        return decoded(_envelopes, message.raw)
    try:
        raw = msgspec.json.encode(message.value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Reject("the value is nothing that JSON can hold") from error
    return decoded(_envelopes, raw)
