"""Recorded answers of Upstox as messages, beside the simulated ones."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from stockifyd.api import Reject
from stockifyd_optionchain.settlement import CLOSES
from stockifyd_optionchain.simulator.simulator import Produced
from stockifyd_optionchain.simulator.underlyings import UNDERLYINGS
from stockifyd_optionchain.vendors import Envelope, canonical
from stockifyd_optionchain.vendors.upstox import answer_of

_BY_KEY = {underlying.vendor_key: underlying for underlying in UNDERLYINGS.values()}


def read_recorded(path: str, day: date | None = None, *, form: str = "canonical") -> Produced:
    """A recorded answer as if received at the close of `day`; without one, of its expiry's day.

    `form` is `canonical` (a message of `market.enriched`) or `upstox` (of `market.raw`).
    """
    raw = Path(path).read_bytes()
    first = answer_of(raw).data[0]
    if (underlying := _BY_KEY.get(first.underlying_key)) is None:
        raise Reject("data[0].underlying_key: none of the underlyings that are known")
    received_at = datetime.combine(day or first.expiry, CLOSES).astimezone(UTC)
    envelope = Envelope(
        received_at=received_at,
        vendor="upstox",
        symbol=underlying.symbol,
        symbol_id=underlying.symbol_id,
        expiry=first.expiry,
        payload=msgspec.Raw(raw),
    )
    # The lot of today is not that of the day it was recorded.
    instrument = replace(underlying.instrument, lot_size=None)
    value = msgspec.json.encode(envelope if form == "upstox" else canonical(envelope, instrument))
    return Produced(f"{underlying.symbol}:{first.expiry}".encode(), value, round(received_at.timestamp() * 1000))
