"""Canonical option chains for tests: one good chain, and as many ways to change it as a test needs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from stockifyd.api import Batch
from stockifyd.testing import make_message


def option_fields(**changes: Any) -> dict[str, Any]:
    """An option with every field, as JSON would give it."""
    fields = {
        "expiry": "2026-11-24",
        "strike": 26000.0,
        "option_type": "CE",
        "ltp": 101.5,
        "bid": 101.25,
        "ask": 101.75,
        "bid_qty": 650,
        "ask_qty": 1300,
        "prev_close": 100.0,
        "price_change": 1.5,
        "volume": 6500,
        "prev_volume": 5200,
        "oi": 13000,
        "prev_oi": 12350,
        "oi_change": 650,
        "iv": 0.1432,
        "delta": 0.51,
        "gamma": 0.0009,
        "theta": -12.5,
        "vega": 8.25,
        "rho": 0.75,
        "quality": None,
    }
    return {**fields, **changes}


def context_fields(**changes: Any) -> dict[str, Any]:
    """A context with every field."""
    fields = {
        "exchange": "NSE",
        "segment": "OPTIDX",
        "spot_price": 26010.0,
        "spot_change": 10.0,
        "spot_change_pct": 0.0385,
        "total_call_oi": 13000,
        "total_put_oi": 26000,
        "pcr_ratio": 2.0,
        "atm_iv": 0.14,
        "atm_iv_change": -0.01,
        "max_pain_strike": 26000.0,
        "days_to_expiry": 1,
        "lot_size": 65,
        "tick_size": 0.05,
        "quality": None,
    }
    return {**fields, **changes}


def chain_fields(**changes: Any) -> dict[str, Any]:
    """A chain of a call and a put."""
    fields = {
        "timestamp": "2026-11-23T03:45:00Z",
        "symbol_id": 13,
        "symbol": "NIFTY",
        "context": context_fields(),
        "options": [option_fields(), option_fields(option_type="PE", oi=26000, prev_oi=26000, oi_change=0)],
    }
    return {**fields, **changes}


def chain_json(**changes: Any) -> bytes:
    """A chain as bytes; a change that is `...` takes the field away."""
    return json.dumps({name: value for name, value in chain_fields(**changes).items() if value is not ...}).encode()


def batch_of(raws: Iterable[bytes]) -> Batch:
    """A batch of messages with these bytes."""
    return Batch(tuple(make_message(offset, raw) for offset, raw in enumerate(raws)))
