"""Recorded answers of Upstox as messages, beside the simulated ones."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from stockifyd.api import Reject
from stockifyd_optionchain.simulator.session import CLOSES
from stockifyd_optionchain.simulator.simulator import Produced
from stockifyd_optionchain.simulator.underlyings import UNDERLYINGS
from stockifyd_optionchain.upstox import answer_of, canonical, enveloped

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
    envelope = enveloped(raw, symbol=underlying.symbol, symbol_id=underlying.symbol_id, received_at=received_at)
    value = msgspec.json.encode(envelope if form == "upstox" else canonical(envelope))
    return Produced(f"{underlying.symbol}:{first.expiry}".encode(), value, round(received_at.timestamp() * 1000))
