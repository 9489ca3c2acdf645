"""What `normalise_chain` makes of the answers of three vendors, and what it rejects."""
# what is expected stands first in an assert

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.chains import batch_of
from stockifyd.api import Batch, Drift, Message, configure
from stockifyd.testing import TransformContract, make, make_message, run
from stockifyd_optionchain import Chain, NormaliseChain
from stockifyd_optionchain.instruments import Instrument, read_instruments
from stockifyd_optionchain.simulator import Simulator

INSTRUMENTS = str(Path(__file__).resolve().parents[3] / "pipelines" / "reference" / "instruments.yaml")
MONDAY = date(2026, 11, 23)
VENDORS = ("upstox", "dhan", "nse")


def simulated(count: int, **options: Any) -> list[bytes]:
    simulator = Simulator(1, MONDAY, **{"underlyings": ["NIFTY", "SENSEX"], "strikes": 3, "interval_secs": 3600, **options})
    return [one.value for vendor in VENDORS for one in islice(simulator.raw(vendor), count)]


class TestContract(TransformContract[NormaliseChain]):
    """It keeps the contract of transforms."""

    transform = NormaliseChain

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"instruments": INSTRUMENTS}

    def batch(self) -> Batch:
        first, *others = simulated(1)
        return batch_of([first, b"bad", *others])


def normalised(*messages: bytes | Message) -> Batch:
    made = (m if isinstance(m, Message) else make_message(n, m) for n, m in enumerate(messages))
    [after] = run(Batch(tuple(made)), make(NormaliseChain, instruments=INSTRUMENTS))
    return after


def chain(raw: bytes) -> Chain:
    after = normalised(raw)
    assert () == after.rejected
    value = after.messages[0].value
    assert isinstance(value, Chain)
    return value


def envelope(vendor: str, payload: Any, **changes: Any) -> bytes:
    fields = {"received_at": "2026-11-23T09:15:00.5+05:30", "vendor": vendor, "symbol": "NIFTY", "expiry": "2026-11-24"}
    return json.dumps({k: v for k, v in {**fields, "payload": payload, **changes}.items() if v is not ...}).encode()


DHAN_SIDE = {
    "average_price": 146.99,
    "greeks": {"delta": 0.53871, "theta": -15.1539, "gamma": 0.00132, "vega": 12.18593},
    "implied_volatility": 9.789193798280868,
    "last_price": 134,
    "oi": 3786445,
    "previous_close_price": 244.85,
    "previous_oi": 402220,
    "previous_volume": 31931705,
    "security_id": 42528,
    "top_ask_price": 134,
    "top_ask_quantity": 1365,
    "top_bid_price": 133.55,
    "top_bid_quantity": 1625,
    "volume": 117567970,
}
NSE_SIDE = {
    "strikePrice": 26000,
    "expiryDate": "24-Nov-2026",
    "underlying": "NIFTY",
    "openInterest": 2330,
    "changeinOpenInterest": 129,
    "pchangeinOpenInterest": 5.86,
    "totalTradedVolume": 9698,
    "impliedVolatility": 23.18,
    "lastPrice": 12.35,
    "change": -1.1999999999999993,
    "pChange": -8.86,
    "bidQty": 130,
    "bidprice": 12.2,
    "askQty": 65,
    "askPrice": 12.3,
    "underlyingValue": 25990.1,
}


def dhan(**changes: Any) -> bytes:
    oc = {"26050.000000": {"pe": DHAN_SIDE}, "26000.000000": {"ce": {**DHAN_SIDE, **changes}}}
    return envelope("dhan", {"data": {"last_price": 25990.1, "oc": oc}, "status": "success"})


def nse(**changes: Any) -> bytes:
    other = {"strikePrice": 26000, "expiryDate": "01-Dec-2026", "CE": NSE_SIDE}
    mine = {"strikePrice": 26000, "expiryDate": "24-Nov-2026", "PE": {**NSE_SIDE, **changes}}
    return envelope("nse", {"records": {"underlyingValue": 25990.1, "timestamp": "23-Nov-2026 09:15:59", "data": [other, mine]}})


def test_dhan() -> None:
    """Strikes rise, IV becomes a fraction, counts are units, expiry and time are the envelope's."""
    found = chain(dhan())
    assert [(26000.0, "CE"), (26050.0, "PE")] == [(o.strike, o.option_type) for o in found.options]
    assert datetime(2026, 11, 23, 3, 45, 0, 500_000, UTC) == found.timestamp
    call = msgspec.structs.asdict(found.options[0])
    expected = {"expiry": date(2026, 11, 24), "ltp": 134.0, "bid": 133.55, "ask": 134.0, "bid_qty": 1625, "ask_qty": 1365}
    expected |= {"prev_close": 244.85, "price_change": -110.85, "volume": 117567970, "prev_volume": 31931705, "oi": 3786445}
    expected |= {"prev_oi": 402220, "oi_change": 3384225, "iv": 0.09789194, "delta": None, "theta": None}
    assert expected == {name: call[name] for name in expected}


def test_dhan_may_leave_out() -> None:
    """What Dhan leaves out, or sends as null, is null; an IV of 0 as well."""
    call = chain(dhan(previous_oi=None, previous_volume=None, previous_close_price=0, implied_volatility=0)).options[0]
    assert [None] * 6 == [call.prev_oi, call.oi_change, call.prev_volume, call.prev_close, call.price_change, call.iv]


def test_nse() -> None:
    """Contracts become units by the lot, of the expiry asked for alone; the time is the exchange's, in India."""
    found = chain(nse())
    [put] = found.options
    assert (datetime(2026, 11, 23, 3, 45, 59, tzinfo=UTC), 25990.1) == (
        found.timestamp,
        found.context and found.context.spot_price,
    )
    assert (2330 * 65, 129 * 65, 2201 * 65, 9698 * 65) == (put.oi, put.oi_change, put.prev_oi, put.volume)
    assert (12.35, -1.2, 13.55, 130, 65, 0.2318) == (put.ltp, put.price_change, put.prev_close, put.bid_qty, put.ask_qty, put.iv)


def test_nse_without_a_trade() -> None:
    """A last price of 0 is none, and its change says nothing; more OI gone than there was leaves the day before unknown."""
    [put] = chain(nse(lastPrice=0, change=0, openInterest=5, changeinOpenInterest=6)).options
    assert [None] * 4 == [put.ltp, put.prev_close, put.price_change, put.prev_oi]
    assert (5 * 65, 6 * 65) == (put.oi, put.oi_change)


def test_context_is_of_the_instrument() -> None:
    """Exchange, segment, lot and tick size come from the instruments file, and so does the symbol_id."""
    found = chain(dhan())
    assert found.context is not None
    about = (found.context.exchange, found.context.segment, found.context.lot_size, found.context.tick_size, found.symbol_id)
    assert ("NSE", "OPTIDX", 65, 0.05, 13) == about


def test_symbol_id_may_be_given() -> None:
    """An envelope that has the same symbol_id is taken."""
    payload = json.loads(dhan())["payload"]
    assert 13 == chain(envelope("dhan", payload, symbol_id=13)).symbol_id


def test_a_decoded_value_is_taken() -> None:
    """A value that a transform before made of the bytes gives the same chain."""
    for raw in (dhan(), nse()):
        [message] = normalised(make_message(0, b"x", value=json.loads(raw))).messages
        assert chain(raw) == message.value


NO_TIME = "payload: records.timestamp: expected a time such as 23-Nov-2026 09:15:00"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{}", "object missing required field received_at"),
        (envelope("kite", {}), "vendor: expected 'upstox', 'dhan' or 'nse'"),
        (envelope("dhan", {}, received_at="2026-11-23T09:15:00"), "received_at: expected datetime with a timezone component"),
        (envelope("dhan", ...), "object missing required field payload"),
        (envelope("dhan", {}, symbol="NIFTI"), "symbol: not in the instruments file"),
        (envelope("dhan", {}, symbol_id=14), "symbol_id: another than the instruments file has for this symbol"),
        (envelope("dhan", {}), "payload: object missing required field data"),
        (envelope("dhan", "<html>"), "payload: expected object, got str"),
        (envelope("dhan", {"data": {"last_price": 1, "oc": {}}}), "payload: data.oc: no option in it"),
        (envelope("dhan", {"data": {"last_price": 1, "oc": {"26000": {}, "nan": {}}}}), "payload: data.oc: key 1 is no strike"),
        (envelope("dhan", {"data": {"last_price": 1, "oc": {"-5": {}}}}), "payload: data.oc: key 0 is no strike"),
        (dhan(oi=1.5), "payload: oi: expected a whole number"),
        (dhan(top_bid_price="1"), "payload: data.oc[...].ce.top_bid_price: expected float, got str"),
        (
            envelope("nse", {"records": {"underlyingValue": 1, "timestamp": "", "data": []}}),
            "payload: records.data: no option of the expiry that was asked for",
        ),
        (nse(openInterest=-1), "payload: records.data[1].PE.openInterest: expected int >= 0"),
        (nse(openInterest=2**41), "payload: records.data[1].PE.openInterest: expected int <= 1099511627776"),
        (nse(bidQty=0.5), "payload: bidQty: expected a whole number"),
        (nse().replace(b"23-Nov-2026", b"23-Nav-2026"), NO_TIME),
        (nse().replace(b"09:15:59", b"09:15"), NO_TIME),
    ],
)
def test_rejects(raw: bytes, expected: str) -> None:
    """What a vendor does not document is rejected by path and kind, without the data."""
    assert [expected] == [letter.reason for letter in normalised(raw).rejected]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("data", "oc", "records", "1")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(VENDORS), JSON)
def test_any_payload_is_a_chain_or_a_reject(vendor: str, payload: Any) -> None:
    """Whatever a vendor answers, nothing worse than a rejection comes of it."""
    after = normalised(
        envelope(vendor, payload), make_message(1, b"null", value={**json.loads(envelope(vendor, 0)), "payload": payload})
    )
    assert 2 == len(after.messages) + len(after.rejected)


NUMBERS = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.sampled_from(sorted(DHAN_SIDE)), NUMBERS), st.dictionaries(st.sampled_from(sorted(NSE_SIDE)), NUMBERS))
def test_any_number_is_stored_or_rejected(of_dhan: dict[str, Any], of_nse: dict[str, Any]) -> None:
    """What comes out is what the canonical form's own decoder takes."""
    for message in normalised(dhan(**of_dhan), nse(**of_nse)).messages:
        assert message.value == msgspec.json.decode(msgspec.json.encode(message.value), type=Chain)


def test_nse_needs_a_lot(tmp_path: Path) -> None:
    """Without a lot size contracts cannot become units."""
    path = tmp_path / "instruments.yaml"
    path.write_text(HEAD + "{symbol_id: 13, symbol: NIFTY}]\n")
    [after] = run(batch_of([nse(), dhan()]), make(NormaliseChain, instruments=str(path)))
    assert (1, ["symbol: the instruments file has no lot_size of it, and NSE counts contracts"]) == (
        len(after.messages),
        [letter.reason for letter in after.rejected],
    )


HEAD = "version: 1\ninstruments: ["


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "]\n", "instruments: expected array of length >= 1"),
        ("version: 2\ninstruments: [{symbol_id: 1, symbol: A}]\n", "version: expected int <= 1"),
        (HEAD + "{symbol_id: 1, symbl: A}]\n", "instruments[0]: object contains unknown field symbl"),
        (HEAD + "{symbol_id: 1, symbol: A, lot_size: 0}]\n", "instruments[0].lot_size: expected int >= 1"),
        (HEAD + "{symbol_id: 1, symbol: A}, {symbol_id: 1, symbol: B}]\n", "instruments[1].symbol_id: 1 is there twice"),
        (HEAD + "{symbol_id: 1, symbol: A}, {symbol_id: 2, symbol: A}]\n", "instruments[1].symbol: 'A' is there twice"),
        ("version: [\n", ":2:1: this is no YAML"),
        ("\0", "this is no YAML"),
    ],
)
def test_a_wrong_instruments_file(text: str, expected: str, tmp_path: Path) -> None:
    """It is a finding of `validate`, by file and path; and halts the pipeline where it went wrong since."""
    path = tmp_path / "instruments.yaml"
    path.write_text(HEAD + "{symbol_id: 13, symbol: NIFTY}]\n")
    transform = make(NormaliseChain, instruments=str(path))
    path.write_text(text)
    with pytest.raises(msgspec.ValidationError) as caught:
        configure(NormaliseChain, {"instruments": str(path)})
    assert (True, True) == (str(caught.value).startswith("instruments: "), expected in str(caught.value))
    with pytest.raises(Drift):
        run(batch_of([]), transform)


def test_a_symbol_is_text(tmp_path: Path) -> None:
    """A symbol that YAML 1.1 takes for false is a symbol."""
    path = tmp_path / "instruments.yaml"
    path.write_text(HEAD + "{symbol_id: 1, symbol: NO, is_active: false}]\n")
    assert Instrument(symbol_id=1, symbol="NO", is_active=False) == read_instruments(str(path))["NO"]


def test_no_instruments_file() -> None:
    """A file that is not there is a finding that says so."""
    with pytest.raises(msgspec.ValidationError, match=r"instruments: 'nowhere.yaml' cannot be read: No such file or directory"):
        configure(NormaliseChain, {"instruments": "nowhere.yaml"})
