"""The recorded chains of a vendor, which are no part of the project (ADR 25)."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from stockifyd_optionchain.instruments import Instrument
from stockifyd_optionchain.vendors import Envelope, canonical

REPOSITORY = Path(__file__).resolve().parents[2]
RECORDED = Path(os.environ.get("STOCKIFYD_RECORDED_CHAINS") or REPOSITORY.parent / "shared" / "data")
RECEIVED = datetime(2024, 6, 20, 9, 30, tzinfo=UTC)
NIFTY_2024 = Instrument(symbol_id=13, symbol="NIFTY", exchange="NSE", segment="OPTIDX", lot_size=25, tick_size=0.05)
"""As it was then."""

recorded = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded chains are not part of the project; STOCKIFYD_RECORDED_CHAINS names their folder"
)


def recorded_chain(expiry: str) -> bytes:
    """Upstox's answer."""
    return (RECORDED / f"nifty-option-chain-{expiry}.json").read_bytes()


def upstox_envelope(payload: bytes, expiry: str = "2024-06-20", received_at: datetime = RECEIVED) -> Envelope:
    """An answer in its envelope, as ingestion sends it."""
    return Envelope(
        received_at=received_at,
        vendor="upstox",
        symbol="NIFTY",
        expiry=date.fromisoformat(expiry),
        payload=msgspec.Raw(payload),
    )


def recorded_message(expiry: str, received_at: datetime = RECEIVED) -> bytes:
    """A recorded chain as a message of `market.enriched`, without greeks."""
    return msgspec.json.encode(canonical(upstox_envelope(recorded_chain(expiry), expiry, received_at), NIFTY_2024))
