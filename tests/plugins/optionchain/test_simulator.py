"""The simulated day: repeatable, in order, and such that every chain can be stored."""
# what is expected stands first in an assert

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from itertools import islice, pairwise
from math import exp
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.chains import batch_of
from stockifyd.api import Batch
from stockifyd.testing import make, make_message
from stockifyd_optionchain import FlattenChain, simulate
from stockifyd_optionchain.figures import exchange_day
from stockifyd_optionchain.settlement import years_to
from stockifyd_optionchain.simulator import UNDERLYINGS, Simulator
from stockifyd_optionchain.simulator.series import LEAST_YEARS, RATE
from stockifyd_optionchain.simulator.underlyings import expiries
from stockifyd_optionchain.vendors import canonical, envelope_of
from stockifyd_optionchain.vendors.envelope import Vendor

MONDAY = date(2026, 11, 23)
SEEDS, DAYS = st.integers(0, 2**64), st.dates(date(2024, 1, 1), date(2035, 12, 31))
SYMBOLS = st.lists(st.sampled_from(sorted(UNDERLYINGS)), min_size=1, max_size=2, unique=True)

DIGEST = """
import hashlib, datetime
from stockifyd_optionchain.simulator import Simulator
day = Simulator(7, datetime.date(2026, 11, 23), strikes=20, interval_secs=3600)
print(hashlib.sha256(b"".join(repr(one).encode() for form in (day, day.raw("nse")) for one in form)).hexdigest())
"""


def chains(count: int | None = None, **options: Any) -> list[dict[str, Any]]:
    simulator = Simulator(options.pop("seed", 1), MONDAY, **{"strikes": 20, "interval_secs": 600, **options})
    return [json.loads(one.value) for one in islice(simulator, count)]


def test_same_seed_same_bytes() -> None:
    """Another process, with another order of hashes, makes the same bytes."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1", "4242")
    }
    day = Simulator(7, MONDAY, strikes=20, interval_secs=3600)
    here = hashlib.sha256(b"".join(repr(one).encode() for form in (day, day.raw("nse")) for one in form)).hexdigest()
    assert {here + "\n"} == digests


def test_another_seed_is_another_day() -> None:
    """Seeds differ, and so do days."""
    first = {next(iter(Simulator(seed, day, strikes=2))).value for seed in (1, 2) for day in (MONDAY, date(2026, 11, 24))}
    assert 4 == len(first)


def test_an_underlying_does_not_depend_on_the_others() -> None:
    """NIFTY alone does what it does among others."""
    alone = list(Simulator(1, MONDAY, underlyings=["NIFTY"], strikes=4, interval_secs=3600))
    among = list(Simulator(1, MONDAY, strikes=4, interval_secs=3600))
    assert alone == [one for one in among if one.key.startswith(b"NIFTY:")]


def test_order_and_session() -> None:
    """Messages come in the order of time, from 09:15 to 15:30 in India, every series at every instant."""
    messages = list(Simulator(1, MONDAY, strikes=2, interval_secs=900))
    times = [one.timestamp_ms for one in messages]
    opens, closes = datetime(2026, 11, 23, 3, 45, tzinfo=UTC), datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    assert (sorted(times), opens.timestamp() * 1000, closes.timestamp() * 1000) == (times, times[0], times[-1])
    series = {one.key for one in messages}
    assert len(messages) == 26 * len(series)
    assert {b"NIFTY:2026-11-24", b"BANKNIFTY:2026-11-24", b"SENSEX:2026-11-26"} <= series


def test_message_is_one_expiry() -> None:
    """A message's key names its symbol and the expiry of all its options, and its time is the chain's."""
    for one in islice(Simulator(1, MONDAY, strikes=3), 40):
        chain = json.loads(one.value)
        assert {one.key.decode()} == {f"{chain['symbol']}:{option['expiry']}" for option in chain["options"]}
        assert one.timestamp_ms == datetime.fromisoformat(chain["timestamp"]).timestamp() * 1000
        assert UNDERLYINGS[chain["symbol"]].symbol_id == chain["symbol_id"]


def test_expiries() -> None:
    """Weeklies on their weekday, monthlies on the month's last such day; none before the day itself."""
    assert ["2026-11-24", "2026-12-29", "2027-01-26"] == [str(expiry) for expiry in expiries(UNDERLYINGS["BANKNIFTY"], MONDAY)]
    assert [
        "2026-11-26",
        "2026-12-03",
        "2026-12-10",
        "2026-12-17",
        "2026-12-31",
        "2027-01-28",
    ] == [str(expiry) for expiry in expiries(UNDERLYINGS["SENSEX"], MONDAY)]


def test_volume_and_open_interest_build() -> None:
    """Volume of every option never falls; open interest of the day grows; both begin from the day before."""
    day = chains(underlyings=["NIFTY"])
    nearest = [chain for chain in day if chain["options"][0]["expiry"] == "2026-11-24"]
    for before, after in pairwise(nearest):
        assert [] == [a for b, a in zip(before["options"], after["options"], strict=True) if a["volume"] < b["volume"]]
    totals = [chain["context"]["total_call_oi"] + chain["context"]["total_put_oi"] for chain in nearest]
    assert sum(option["prev_oi"] for option in nearest[0]["options"]) == totals[0] < totals[-1]
    assert {0} == {option["volume"] for option in nearest[0]["options"]}


def test_the_spot_moves() -> None:
    """Spot walks through the day, and the at-the-money volatility with it."""
    contexts = [chain["context"] for chain in chains(underlyings=["NIFTY"])]
    assert min(len({c["spot_price"] for c in contexts}), len({c["atm_iv"] for c in contexts})) > 30


@settings(max_examples=30, deadline=None)
@given(SEEDS, DAYS, SYMBOLS, st.integers(1, 60))
def test_every_chain_is_stored(seed: int, day: date, symbols: list[str], strikes: int) -> None:
    """flatten_chain takes every simulated chain, and the rows hold what the message held."""
    messages = list(islice(Simulator(seed, day, underlyings=symbols, strikes=strikes, interval_secs=9000), 12))
    after = asyncio.run(make(FlattenChain).apply(batch_of(one.value for one in messages)))
    assert isinstance(after, Batch)
    assert ((), len(messages), 2 * strikes * len(messages)) == (
        after.rejected,
        len(after.tables["snapshots"].rows),
        len(after.tables["options"].rows),
    )
    sent = [json.loads(one.value) for one in messages]
    assert [list(c["context"].values()) for c in sent] == [list(row[3:]) for row in after.tables["snapshots"].rows]
    assert [list(o.values())[1:] for c in sent for o in c["options"]] == [list(row[3:]) for row in after.tables["options"].rows]


@settings(max_examples=30, deadline=None)
@given(SEEDS, DAYS, st.sampled_from(sorted(UNDERLYINGS)))
def test_quotes_obey_parity(seed: int, day: date, symbol: str) -> None:
    """Last prices obey put-call parity to the tick, stand on it, and lie between bid and ask."""
    tick = UNDERLYINGS[symbol].tick_size
    for _, chain in islice(Simulator(seed, day, underlyings=[symbol], interval_secs=7200).chains(), 6):
        spot = chain.context.spot_price if chain.context else None
        assert spot is not None
        years = max(years_to(chain.options[0].expiry, chain.timestamp), LEAST_YEARS)
        for call, put in zip(chain.options[::2], chain.options[1::2], strict=True):
            parity = spot - call.strike * exp(-RATE * years)
            assert abs((call.ltp or 0) - (put.ltp or 0) - parity) <= 2 * tick
            assert 0 <= (call.bid or 0) < (call.ltp or 0) < (call.ask or 0)
            assert round((call.ltp or 0) / tick) / round(1 / tick) == call.ltp


@settings(max_examples=20, deadline=None)
@given(SEEDS, DAYS, st.sampled_from(["upstox", "dhan", "nse"]))
def test_vendor_form_says_the_same(seed: int, day: date, vendor: Vendor) -> None:
    """A vendor's form of a chain, normalised, is the canonical one but for our greeks and what the vendor does not send."""
    simulator = Simulator(seed, day, strikes=10, interval_secs=7200)
    prices = ("expiry", "strike", "option_type", "ltp", "bid", "ask", "bid_qty", "ask_qty", "prev_close", "price_change")
    names = (*prices, "volume", "oi", "prev_oi", "oi_change", "iv", *(("prev_volume",) if vendor == "dhan" else ()))
    for (_, chain), raw in islice(zip(simulator.chains(), simulator.raw(vendor), strict=True), 12):
        normal = canonical(envelope_of(make_message(0, raw.value)), UNDERLYINGS[chain.symbol].instrument)
        assert (chain.timestamp, chain.symbol, chain.symbol_id) == (normal.timestamp, normal.symbol, normal.symbol_id)
        assert [[getattr(o, n) for n in names] for o in chain.options] == [[getattr(o, n) for n in names] for o in normal.options]
        unknown = {"spot_change": None, "spot_change_pct": None, "atm_iv": None, "atm_iv_change": None}
        assert chain.context is not None
        assert msgspec.structs.replace(chain.context, **unknown) == normal.context


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"underlyings": ["NIFTI"]}, "'NIFTI' is not simulated; known are NIFTY, BANKNIFTY, FINNIFTY, SENSEX, MIDCPNIFTY"),
        ({"strikes": 0}, "strikes is 0, must be 1 to 500"),
        ({"interval_secs": 0}, "interval_secs is 0, must be above 0"),
    ],
)
def test_bad_options(options: dict[str, Any], expected: str) -> None:
    """Options that cannot work are refused, with what is allowed."""
    with pytest.raises(ValueError) as caught:
        Simulator(1, MONDAY, **options)
    assert expected == str(caught.value)


def test_command() -> None:
    """`simulate` writes what the simulator makes, one JSON object a line."""
    arguments = ["--seed=3", "--day=2026-11-23", "--chains=5", "--symbols=NIFTY,SENSEX", "--strikes=4", "--interval-secs=60"]
    for form in ("canonical", "upstox", "dhan", "nse"):
        result = CliRunner().invoke(simulate, [*arguments, "--form", form])
        simulator = Simulator(3, MONDAY, underlyings=["NIFTY", "SENSEX"], strikes=4, interval_secs=60)
        expected = islice(simulator if form == "canonical" else simulator.raw(form), 5)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert [(one.key.decode(), one.timestamp_ms, json.loads(one.value)) for one in expected] == [
            (line["key"], line["timestamp_ms"], line["value"]) for line in lines
        ]


def test_command_refuses() -> None:
    """An unknown symbol is a usage error that names the known ones."""
    result = CliRunner().invoke(simulate, ["--symbols", "NOPE"])
    assert (2, True) == (result.exit_code, "known are NIFTY" in result.stderr)


def test_command_today() -> None:
    """Without --day it is today's session in India."""
    result = CliRunner().invoke(simulate, ["--chains", "1", "--strikes", "1"])
    timestamp = datetime.fromisoformat(json.loads(result.stdout)["value"]["timestamp"])
    assert abs((exchange_day(datetime.now(UTC)) - exchange_day(timestamp)).days) <= 1


def test_simulator_is_not_imported_with_the_plugin() -> None:
    """Loading the plugin leaves the simulator out: every start of the daemon would pay for it."""
    code = "import sys, stockifyd_optionchain; print([name for name in sys.modules if 'simulator' in name])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == result.stdout
