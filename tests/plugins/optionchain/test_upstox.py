"""Upstox's answers, recorded and made up, in the canonical form."""
# what is expected stands first in an assert

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from kit.chains import batch_of
from stockifyd.api import Batch, Reject
from stockifyd.testing import make
from stockifyd_optionchain import FlattenChain, simulate
from stockifyd_optionchain.upstox import canonical, enveloped

REPOSITORY = Path(__file__).resolve().parents[3]
RECORDED = Path(os.environ.get("STOCKIFYD_RECORDED_CHAINS") or REPOSITORY.parent / "shared" / "data")
RECEIVED = datetime(2024, 6, 20, 9, 30, tzinfo=UTC)

recorded = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded chains are not part of the project; STOCKIFYD_RECORDED_CHAINS names their folder"
)


def recorded_chain(expiry: str) -> bytes:
    return (RECORDED / f"nifty-option-chain-{expiry}.json").read_bytes()


def flattened(raw: bytes) -> Batch:
    after = make(FlattenChain).apply(batch_of([raw]))
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
    envelope = enveloped(raw, symbol="NIFTY", symbol_id=13, received_at=RECEIVED)
    return dict(msgspec.to_builtins(canonical(envelope)))


@recorded
@pytest.mark.parametrize(
    ("expiry", "strikes", "spot", "pcr"), [("2024-06-20", 104, 23593.5, 1.0894), ("2024-06-27", 112, 23501.1, 0.9155)]
)
def test_recorded_chains(expiry: str, strikes: int, spot: float, pcr: float) -> None:
    """The put-call ratios of two real chains, from their flattened rows, are the known ones."""
    envelope = enveloped(recorded_chain(expiry), symbol="NIFTY", symbol_id=13, received_at=RECEIVED)
    tables = flattened(msgspec.json.encode(canonical(envelope))).tables
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


def test_context() -> None:
    """Spot, exchange and the figures of the expiry are filled; what Upstox does not send is null."""
    context = canonical_of(answer({"call_options": side(oi=100)}, {"put_options": side(oi=150)}))["context"]
    expected = {"exchange": "NSE", "segment": "OPTIDX", "spot_price": 23593.5, "total_call_oi": 100, "total_put_oi": 150}
    expected |= {"pcr_ratio": 1.5, "max_pain_strike": 20151.0, "days_to_expiry": 0}
    assert expected == {name: value for name, value in context.items() if value is not None}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"status": "error"}', "object missing required field data"),
        (answer(), "data: no strike in it"),
        (answer({}), "data: no option in it"),
        (answer({"call_options": side(oi=1.5)}), "market_data.oi: expected a whole number"),
        (
            answer({"call_options": side(ltp="1")}),
            "data[0].call_options.market_data.ltp: expected float, got str",
        ),
    ],
)
def test_rejects(raw: bytes, expected: str) -> None:
    """An answer that holds no chain, or a broken one, is rejected with the reason."""
    with pytest.raises(Reject) as caught:
        canonical_of(raw)
    assert expected == caught.value.reason
