"""Upstox's answers, recorded and made up, in the canonical form."""
# what is expected stands first in an assert

from __future__ import annotations

import asyncio
import json
from datetime import date
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from kit.chains import batch_of
from kit.recorded import NIFTY_2024, RECORDED, recorded, recorded_message, upstox_envelope
from stockifyd.api import Batch, Reject
from stockifyd.testing import make
from stockifyd_optionchain import FlattenChain, simulate
from stockifyd_optionchain.vendors import canonical


def flattened(raw: bytes) -> Batch:
    after = asyncio.run(make(FlattenChain).apply(batch_of([raw])))
    assert isinstance(after, Batch)
    return after


def side(**changes: Any) -> dict[str, Any]:
    data = {
        "ltp": 101.5,
        "volume": 50,
        "oi": 2125,
        "close_price": 100.25,
        "bid_price": 101,
        "bid_qty": 500,
        "ask_price": 102,
        "ask_qty": 250,
        "prev_oi": 2150,
    }
    greeks = {"vega": 1, "theta": -1, "gamma": 0, "delta": 0.5, "iv": 14.32}
    greeks |= {name: value for name, value in changes.items() if name in greeks}
    data |= {name: value for name, value in changes.items() if name in data}
    return {"instrument_key": "NSE_FO|1", "market_data": data, "option_greeks": greeks}


def answer(*rows: dict[str, Any]) -> bytes:
    fixed = {"expiry": "2024-06-20", "pcr": 1.5, "underlying_key": "NSE_INDEX|Nifty 50", "underlying_spot_price": 23593.5}
    data = [{**fixed, "strike_price": 20150 + n, **row} for n, row in enumerate(rows)]
    return json.dumps({"status": "success", "data": data}).encode()


def canonical_of(raw: bytes) -> dict[str, Any]:
    return dict(msgspec.to_builtins(canonical(upstox_envelope(raw), NIFTY_2024)))


@recorded
@pytest.mark.parametrize(
    ("expiry", "strikes", "spot", "pcr"), [("2024-06-20", 104, 23593.5, 1.0894), ("2024-06-27", 112, 23501.1, 0.9155)]
)
def test_recorded_chains(expiry: str, strikes: int, spot: float, pcr: float) -> None:
    """The put-call ratios of two real chains, from their flattened rows, are the known ones."""
    tables = flattened(recorded_message(expiry)).tables
    [snapshot], options = tables["snapshots"].dicts(), list(tables["options"].dicts())
    oi = {side: sum(row["oi"] for row in options if row["option_type"] == side) for side in ("CE", "PE")}
    assert (2 * strikes, pcr) == (len(options), round(oi["PE"] / oi["CE"], 4))
    assert (date.fromisoformat(expiry), spot, pcr) == (
        snapshot["expiry"],
        snapshot["spot_price"],
        round(snapshot["pcr_ratio"], 4),
    )
    assert (oi["CE"], oi["PE"]) == (snapshot["total_call_oi"], snapshot["total_put_oi"])


@recorded
def test_command_emits_recorded_chains() -> None:
    """`simulate --recorded` writes them as messages of either topic, received when asked."""
    paths = [str(path) for path in sorted(RECORDED.glob("nifty-option-chain-*.json"))]
    options = [word for path in paths for word in ("--recorded", path)]
    for form, field in (("canonical", "timestamp"), ("upstox", "received_at")):
        result = CliRunner().invoke(simulate, [*options, "--form", form, "--day", "2026-11-23"])
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert ["NIFTY:2024-06-20", "NIFTY:2024-06-27"] == [line["key"] for line in lines]
        assert {(1795428000000, "2026-11-23T10:00:00Z")} == {(line["timestamp_ms"], line["value"][field]) for line in lines}


def test_units_and_changes() -> None:
    """IV becomes a fraction, changes are computed, and Upstox's own greeks stay behind."""
    call, put = canonical_of(answer({"call_options": side(), "put_options": side(iv=0, oi=75.0)}))["options"]
    assert (0.1432, 1.25, -25, 2125) == (call["iv"], call["price_change"], call["oi_change"], call["oi"])
    assert (None, None, "PE", 75) == (put["iv"], put["delta"], put["option_type"], put["oi"])


def test_no_price_is_null() -> None:
    """A last price or a close of 0 is none, and says nothing of a change; a bid of 0 is an empty side of the book."""
    call, put = canonical_of(answer({"call_options": side(ltp=0, bid_price=0), "put_options": side(close_price=0)}))["options"]
    assert (None, 100.25, None, 0) == (call["ltp"], call["prev_close"], call["price_change"], call["bid"])
    assert (101.5, None, None) == (put["ltp"], put["prev_close"], put["price_change"])


def test_context() -> None:
    """Spot, what the instruments file says and the figures of the expiry are filled; what nobody sends is null."""
    context = canonical_of(answer({"call_options": side(oi=100)}, {"put_options": side(oi=150)}))["context"]
    expected = {"exchange": "NSE", "segment": "OPTIDX", "spot_price": 23593.5, "total_call_oi": 100, "total_put_oi": 150}
    expected |= {"pcr_ratio": 1.5, "max_pain_strike": 20151.0, "days_to_expiry": 0, "lot_size": 25, "tick_size": 0.05}
    assert expected == {name: value for name, value in context.items() if value is not None}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"status": "error"}', "payload: object missing required field data"),
        (answer(), "payload: data: no strike in it"),
        (answer({}), "payload: data: no option in it"),
        (answer({}, {"expiry": "2024-06-27"}), "payload: data[1].expiry: not the expiry that was asked for"),
        (answer({"call_options": side(oi=1.5)}), "payload: market_data.oi: expected a whole number"),
        (answer({"call_options": side(ltp="1")}), "payload: data[0].call_options.market_data.ltp: expected float, got str"),
        (answer({"call_options": side(oi=-1)}), "payload: data[0].call_options.market_data.oi: expected int >= 0"),
        (
            answer({"call_options": side(oi=2**63)}),
            "payload: data[0].call_options.market_data.oi: expected int <= 9223372036854775807",
        ),
        (
            answer({"call_options": side(ltp=1e10)}),
            "payload: data[0].call_options.market_data.ltp: expected float <= 1000000000.0",
        ),
    ],
)
def test_rejects(raw: bytes, expected: str) -> None:
    """An answer that holds no chain, or a broken one, is rejected with the reason."""
    with pytest.raises(Reject) as caught:
        canonical_of(raw)
    assert expected == caught.value.reason
