"""What `enrich_greeks` makes of chains that are less than perfect."""
# what is expected stands first in an assert

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kit.chains import batch_of, chain_json, option_fields
from kit.priced import EXPIRY, instant, priced_chain
from stockifyd.api import Batch, configure
from stockifyd.testing import TransformContract, make, make_message, run
from stockifyd_optionchain import Chain, EnrichGreeks, analytics
from stockifyd_optionchain.chain import ChainContext, Option
from stockifyd_optionchain.simulator import Simulator

GREEKS = ("iv", "delta", "gamma", "theta", "vega", "rho")
STRIKES = [25_000.0 + 50 * n for n in range(41)]
FORWARD = 26_000.0
MONDAY = date(2026, 11, 23)


class TestContract(TransformContract[EnrichGreeks]):
    """It keeps the contract of transforms."""

    transform = EnrichGreeks

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"rate_pct": 6.5}

    def batch(self) -> Batch:
        several = chain_json(options=[option_fields(), option_fields(expiry="2026-12-01")])
        return batch_of([chain_json(), several, b"bad", chain_json(symbol_id=25)])


def enriched(chain: Chain | bytes) -> Chain:
    message = make_message(0, chain) if isinstance(chain, bytes) else make_message(0, b"x", value=chain)
    [after] = run(Batch((message,)), make(EnrichGreeks, rate_pct=6.5))
    assert () == after.rejected
    value = after.messages[0].value
    assert isinstance(value, Chain)
    return value


def changed(chain: Chain, strike: float, option_type: str, **fields: Any) -> Chain:
    return replace(
        chain, options=[replace(o, **fields) if (o.strike, o.option_type) == (strike, option_type) else o for o in chain.options]
    )


def option(chain: Chain, strike: float, option_type: str) -> Option:
    [found] = [o for o in chain.options if (o.strike, o.option_type) == (strike, option_type)]
    return found


def values(of: Option) -> list[float | None]:
    return [getattr(of, name) for name in GREEKS]


UNSOLVED = [None] * 6
NO_QUOTE: dict[str, Any] = {"bid": None, "ask": None, "ltp": None}


def test_a_simulated_chain_has_the_greeks_it_was_made_of() -> None:
    """Iv and greeks agree with the simulator's own, which knew them before it quoted, to what a tick leaves open."""
    for _, chain in list(Simulator(3, MONDAY, underlyings=["NIFTY"], strikes=60, interval_secs=10_000).chains())[:12]:
        for made, found in zip(chain.options, enriched(chain).options, strict=True):
            outer = abs(made.delta or 0) < 0.5
            if outer and (made.vega or 0) > 1 and made.iv and found.iv and found.delta and made.delta and found.theta:
                assert pytest.approx(found.iv, abs=0.1 / (made.vega or 1) / 100) == made.iv
                assert (pytest.approx(found.delta, abs=0.02), pytest.approx(found.theta, rel=0.1)) == (made.delta, made.theta)


def test_atm_iv_of_the_context() -> None:
    """The context's `atm_iv` is the volatility at the forward; a context is made where there is none."""
    chain = priced_chain(FORWARD, STRIKES, iv=lambda k: 0.13 + (k - FORWARD) / 1e5)
    for one in (chain, replace(chain, context=None)):
        context = enriched(one).context
        assert context is not None
        assert pytest.approx(0.13, rel=1e-9) == context.atm_iv


def test_what_a_vendor_sent_is_replaced() -> None:
    """Also by null, where we cannot solve it."""
    chain = changed(priced_chain(FORWARD, STRIKES, iv=lambda _: 0.2), 26_500.0, "CE", **NO_QUOTE, iv=0.9, delta=0.9)
    chain = changed(chain, 26_500.0, "PE", **NO_QUOTE, iv=0.9)
    found = enriched(chain)
    assert [UNSOLVED, UNSOLVED] == [values(option(found, 26_500.0, side)) for side in ("CE", "PE")]
    assert pytest.approx(0.2) == option(found, 26_450.0, "CE").iv


def test_the_middle_of_the_quote_before_the_last_price() -> None:
    """A last price counts only where there is no quote: zero bid, zero ask, or crossed. Locked is a quote."""
    chain = priced_chain(FORWARD, STRIKES)
    worth = option(chain, 26_500.0, "CE").ltp or 0
    expected = option(enriched(chain), 26_500.0, "CE").iv
    for quote in (
        {"ltp": 1.0},  # locked at its worth
        {"bid": worth - 1, "ask": worth + 1, "ltp": 1.0},
        {"bid": 0.0, "ask": 900.0},
        {"bid": 800.0, "ask": 0.0},
        {"bid": worth + 5, "ask": worth - 5},
        {"bid": None, "ask": worth + 5},
    ):
        assert pytest.approx(expected, rel=1e-9) == option(enriched(changed(chain, 26_500.0, "CE", **quote)), 26_500.0, "CE").iv


def test_the_other_side_by_parity() -> None:
    """Without a price the out-of-the-money option takes the other's quote, if its bid leaves something for time."""
    chain = changed(priced_chain(FORWARD, STRIKES), 26_500.0, "CE", **NO_QUOTE)
    found = enriched(chain)
    assert pytest.approx(0.13, rel=1e-8) == option(found, 26_500.0, "CE").iv == option(found, 26_500.0, "PE").iv
    worth = option(chain, 26_500.0, "PE").bid or 0
    unsure = enriched(changed(chain, 26_500.0, "PE", bid=worth - 100, ask=worth + 100))
    assert UNSOLVED == values(option(unsure, 26_500.0, "CE"))
    only_last = enriched(changed(chain, 26_500.0, "PE", bid=0.0))
    assert UNSOLVED == values(option(only_last, 26_500.0, "CE"))


def test_one_side_alone() -> None:
    """A chain of calls alone is priced on the spot carried at the rate, in the money by parity."""
    chain = priced_chain(FORWARD, STRIKES)
    calls = replace(chain, options=[o for o in chain.options if o.option_type == "CE"])
    found = enriched(calls)
    assert [pytest.approx(0.13, rel=1e-6)] * len(STRIKES) == [o.iv for o in found.options]


def test_nothing_to_go_by() -> None:
    """Without a pair and without a spot there is no forward, and nothing is solved."""
    chain = priced_chain(FORWARD, STRIKES)
    calls = replace(chain, options=[o for o in chain.options if o.option_type == "CE"], context=ChainContext())
    found = enriched(calls)
    assert [UNSOLVED] * len(STRIKES) == [values(o) for o in found.options]
    assert found.context == ChainContext()


def test_without_a_spot() -> None:
    """Pairs are enough: the money is where call and put differ least."""
    chain = priced_chain(FORWARD, STRIKES)
    found = enriched(replace(chain, context=None)).options
    assert [pytest.approx(0.13, rel=1e-9)] * len(found) == [o.iv for o in found]


def test_one_bad_quote_does_not_move_the_forward() -> None:
    """The forward is a median: a strike at the money that is quoted badly leaves the others what they are."""
    chain = changed(priced_chain(FORWARD, STRIKES), 26_000.0, "CE", bid=900.0, ask=900.0)
    assert pytest.approx(0.13, rel=1e-9) == option(enriched(chain), 26_300.0, "CE").iv


@pytest.mark.parametrize("before", [timedelta(0), timedelta(seconds=-1), timedelta(days=-3650)], ids=str)
def test_settled(before: timedelta) -> None:
    """From 15:30 in India of its day on an expiry has no volatility."""
    chain = replace(priced_chain(FORWARD, STRIKES), timestamp=instant(before))
    found = enriched(chain)
    assert ({None}, None) == ({v for o in found.options for v in values(o)}, found.context and found.context.atm_iv)


def test_the_last_second() -> None:
    """A second before, it has."""
    chain = replace(priced_chain(FORWARD, STRIKES, before=timedelta(seconds=1)), timestamp=instant(timedelta(seconds=1)))
    assert pytest.approx(0.13, rel=1e-6) == option(enriched(chain), 26_000.0, "CE").iv


def test_prices_that_no_volatility_gives() -> None:
    """A call above the forward, a put above its strike."""
    chain = changed(priced_chain(FORWARD, STRIKES), 26_950.0, "CE", bid=30_000.0, ask=30_000.0)
    chain = changed(chain, 25_050.0, "PE", bid=30_000.0, ask=30_000.0)
    found = enriched(chain)
    assert [UNSOLVED, UNSOLVED] == [values(option(found, 26_950.0, "CE")), values(option(found, 25_050.0, "PE"))]


def test_several_expiries() -> None:
    """Each expiry has a forward and a time of its own; the context describes none of them."""
    near, far = priced_chain(FORWARD, STRIKES), priced_chain(FORWARD + 150, STRIKES, before=timedelta(days=33), iv=lambda _: 0.15)
    later = [replace(o, expiry=EXPIRY + timedelta(days=28)) for o in far.options]
    mixed = [o for pair in zip(near.options, later, strict=True) for o in pair]
    found = enriched(replace(near, options=mixed))
    assert [pytest.approx(0.13, rel=1e-8)] * len(later) == [o.iv for o in found.options if o.expiry == EXPIRY]
    assert [pytest.approx(0.15, rel=1e-8)] * len(later) == [o.iv for o in found.options if o.expiry != EXPIRY]
    assert near.context == found.context


def test_what_is_not_a_price_stays() -> None:
    """Everything of an option but iv and greeks is as it came."""
    raw = chain_json()
    before, after = msgspec.json.decode(raw, type=Chain), enriched(raw)
    gone = dict.fromkeys(GREEKS)
    assert [replace(o, **gone) for o in before.options] == [replace(o, **gone) for o in after.options]
    assert (before.timestamp, before.symbol_id, before.symbol) == (after.timestamp, after.symbol_id, after.symbol)


PRICES = st.none() | st.floats(0, 5_000) | st.sampled_from([0.0, 0.05, 1e308, math.nan, math.inf])


@given(
    st.lists(st.tuples(st.floats(1e-3, 1e6), st.sampled_from(["CE", "PE"]), PRICES, PRICES, PRICES), min_size=1, max_size=12),
    st.none() | st.sampled_from([0.0, 26_000.0, 1e-300, 1e308, math.nan]),
    st.floats(-1, 400),
    st.floats(-50, 100),
)
def test_any_chain_is_solved_or_null(quotes: list[Any], spot: float | None, days: float, rate_pct: float) -> None:
    """Whatever the prices, NaN among them, nothing is raised, and what comes out is a finite number or null."""
    options = [Option(EXPIRY, strike, side, ltp=ltp, bid=bid, ask=ask) for strike, side, ltp, bid, ask in quotes]
    chain = Chain(instant(timedelta(days=days)), 13, "NIFTY", options, ChainContext(spot_price=spot))
    [after] = run(Batch((make_message(0, b"x", value=chain),)), make(EnrichGreeks, rate_pct=rate_pct))
    [message] = after.messages
    assert all(v is None or math.isfinite(v) for o in message.value.options for v in values(o))
    assert all((o.iv is None) == (o.delta is None) for o in message.value.options)


@given(st.floats(25_100, 26_900), st.floats(0.05, 0.8), st.floats(0.2, 60))
def test_parity_of_the_output(strike: float, iv: float, days: float) -> None:
    """Call and put of a strike: one iv, gamma and vega; deltas differ by the discount, theta and rho as the prices do."""
    chain = priced_chain(FORWARD, [25_900.0, FORWARD, strike], before=timedelta(days=days), iv=lambda _: iv)
    *_, call, put = enriched(chain).options
    if call.iv is None:
        assert put.iv is None
        return
    rate, years = 0.065, days / 365
    discount = math.exp(-rate * years)
    worth = discount * (FORWARD - strike)
    assert (call.iv, call.gamma, call.vega) == (put.iv, put.gamma, put.vega)
    differences = [(getattr(call, name) or 0) - (getattr(put, name) or 0) for name in ("delta", "theta", "rho")]
    expected = [discount, rate * worth / 365, -years * worth / 100]
    assert [pytest.approx(x, rel=1e-6, abs=1e-9) for x in expected] == differences


@given(st.floats(0.05, 400), st.floats(0.05, 400))
def test_iv_rises_with_the_price(one: float, other: float) -> None:
    """Of two prices of an option the dearer has the higher volatility."""
    chain = priced_chain(FORWARD, [25_900.0, 25_950.0, FORWARD, 26_050.0, 26_400.0], before=timedelta(days=5))
    low, high = (option(enriched(changed(chain, 26_400.0, "CE", bid=p, ask=p)), 26_400.0, "CE").iv for p in sorted((one, other)))
    assert low is not None is not high
    assert low <= high
    assert low < high or abs(one - other) < 1e-9


def test_the_extra_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numpy or pyvolr is missing, the spec has a finding that says what to install."""
    monkeypatch.setattr(analytics, "find_spec", lambda name: None)
    with pytest.raises(msgspec.ValidationError, match=r"numpy and pyvolr must be installed: pip install 'stockifyd\[greeks\]'"):
        configure(EnrichGreeks, {"rate_pct": 6.5})


def test_numpy_is_loaded_by_those_who_use_it() -> None:
    """Neither the command line nor the plugin, nor a pipeline that stores chains, loads numpy."""
    code = """
import sys, json
from stockifyd.cli.main import main
from stockifyd.registry import Registry
from stockifyd.testing import make, run, make_message
from stockifyd.api import Batch
registry = Registry.load(built_in=True)
flatten, classify = (registry.get("transform", name).component for name in ("flatten_chain", "classify_buildup"))
[batch] = run(Batch((make_message(0, sys.stdin.buffer.read()),)), make(classify), make(flatten))
print(json.dumps([len(batch.messages), sorted({"numpy", "pyvolr"} & set(sys.modules))]))
"""
    done = subprocess.run([sys.executable, "-c", code], input=chain_json(), capture_output=True, check=True)
    assert [1, []] == json.loads(done.stdout)


def test_rate_is_required_and_bounded() -> None:
    """A rate is said, in percent."""
    for options in ({}, {"rate_pct": 650}):
        with pytest.raises(msgspec.ValidationError):
            configure(EnrichGreeks, options)
