"""Two real chains: golden figures, each found again by a second route from the vendor's own answer."""
# what is expected stands first in an assert

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pytest
import vollib.black.greeks.analytical as published
from vollib.black.implied_volatility import implied_volatility

from kit import precise
from kit.recorded import recorded, recorded_chain, recorded_message
from stockifyd.api import Batch
from stockifyd.testing import make, make_message, run
from stockifyd_optionchain import Chain, CheckChain, ClassifyBuildup, EnrichGreeks, SummariseChain

RATE = 0.065
RECEIVED = {"2024-06-20": datetime(2024, 6, 20, 9, 30, tzinfo=UTC), "2024-06-27": datetime(2024, 6, 21, 10, 0, tzinfo=UTC)}
"""The recordings do not say when they were made: half an hour before settlement, and at a close six days before."""
YEARS = {"2024-06-20": 0.5 / 24 / 365, "2024-06-27": 6 / 365}
pytestmark = recorded
both = pytest.mark.parametrize("expiry", list(RECEIVED))

GOLDEN: dict[str, dict[str, Any]] = {
    "2024-06-20": {
        "pcr_oi": 1.0894, "pcr_volume": 0.8828, "max_pain_strike": 23550.0, "forward_price": 23599.0998, "atm_iv": 0.407570,
        "net_gex": 2.37661e11, "zero_gamma_level": 23576.57, "risk_reversal_25d": 0.03453, "butterfly_25d": 0.01129,
        "support_strikes": [23500.0, 23550.0, 23000.0], "resistance_strikes": [23600.0, 24000.0, 23650.0],
    },
    "2024-06-27": {
        "pcr_oi": 0.9155, "pcr_volume": 0.9808, "max_pain_strike": 23400.0, "forward_price": 23465.5064, "atm_iv": 0.106432,
        "net_gex": 3.61158e10, "zero_gamma_level": 23450.56, "risk_reversal_25d": -0.00694, "butterfly_25d": 0.00162,
        "support_strikes": [23000.0, 22500.0, 22000.0], "resistance_strikes": [24000.0, 25000.0, 24500.0],
    },
}  # fmt: skip


@dataclass
class Answer:
    """The vendor's own, as arrays by strike: nothing of ours has touched it."""

    strikes: Any
    spot: float
    of: dict[str, dict[str, Any]]

    def mid(self, side: str) -> Any:
        bid, ask = self.of[side]["bid_price"], self.of[side]["ask_price"]
        return np.where(bid > 0, (bid + ask) / 2, np.where(self.of[side]["ltp"] > 0, self.of[side]["ltp"], np.nan))


@cache
def answer(expiry: str) -> Answer:
    data = json.loads(recorded_chain(expiry))["data"]
    names = ("ltp", "bid_price", "ask_price", "oi", "prev_oi", "volume", "close_price")
    of = {
        s: {n: np.array([float(row[s]["market_data"][n]) for row in data]) for n in names}
        for s in ("call_options", "put_options")
    }
    return Answer(np.array([float(row["strike_price"]) for row in data]), data[0]["underlying_spot_price"], of)


@cache
def made(expiry: str) -> tuple[Chain, dict[str, Any]]:
    batch = Batch((make_message(0, recorded_message(expiry, RECEIVED[expiry])),))
    [after] = run(
        batch, make(EnrichGreeks, rate_pct=100 * RATE), make(ClassifyBuildup), make(SummariseChain, rate_pct=100 * RATE)
    )
    return after.messages[0].value, next(after.tables["analytics"].dicts())


def calls_and_puts(expiry: str) -> tuple[Any, Any]:
    chain = made(expiry)[0]
    return tuple([o for o in chain.options if o.option_type == s] for s in ("CE", "PE"))  # type: ignore[return-value]


@both
def test_golden(expiry: str) -> None:
    """The figures are what they were when they were checked by the tests below."""
    row = made(expiry)[1]
    for name, value in GOLDEN[expiry].items():
        assert (value if isinstance(value, list) else pytest.approx(value, rel=1e-5, abs=6e-5)) == row[name], name


@both
def test_ratios(expiry: str) -> None:
    """Sums over the vendor's own numbers."""
    calls, puts = answer(expiry).of.values()
    row = made(expiry)[1]
    assert (puts["oi"].sum() / calls["oi"].sum(), puts["volume"].sum() / calls["volume"].sum()) == (
        row["pcr_oi"],
        row["pcr_volume"],
    )


@both
def test_max_pain(expiry: str) -> None:
    """What holders are paid at every listed strike, as a matrix."""
    a, (calls, puts) = answer(expiry), answer(expiry).of.values()
    paid = (
        np.maximum(a.strikes[:, None] - a.strikes, 0) @ calls["oi"] + np.maximum(a.strikes - a.strikes[:, None], 0) @ puts["oi"]
    )
    assert a.strikes[np.argmin(paid)] == made(expiry)[1]["max_pain_strike"]


@both
def test_forward(expiry: str) -> None:
    """A line through call less put over the strikes within one percent of spot crosses nil at the forward, to a rupee."""
    a = answer(expiry)
    near = np.abs(a.strikes / a.spot - 1) < 0.01
    slope, height = np.polyfit(a.strikes[near], (a.mid("call_options") - a.mid("put_options"))[near], 1)
    assert (pytest.approx(-height / slope, abs=1), pytest.approx(-math.exp(-RATE * YEARS[expiry]), abs=0.002)) == (
        made(expiry)[1]["forward_price"],
        slope,
    )


@both
def test_every_volatility(expiry: str) -> None:
    """Each iv is the one that vollib solves for the out-of-the-money price, and both options of a strike have it."""
    a, row, (calls, puts) = answer(expiry), made(expiry)[1], calls_and_puts(expiry)
    forward, solved = row["forward_price"], 0
    for at, strike in enumerate(a.strikes):
        flag, paid = ("c", a.mid("call_options")[at]) if strike >= forward else ("p", a.mid("put_options")[at])
        assert calls[at].iv == puts[at].iv
        if not math.isnan(paid):
            theirs = implied_volatility(paid, forward, strike, RATE, YEARS[expiry], flag)
            assert pytest.approx(theirs, rel=1e-9) == calls[at].iv
            solved += 1
    assert solved == len(a.strikes)


@both
def test_every_greek(expiry: str) -> None:
    """Each greek is vollib's at that volatility, to nine digits of what is not next to nothing."""
    forward = made(expiry)[1]["forward_price"]
    for o in made(expiry)[0].options:
        given = ("c" if o.option_type == "CE" else "p", forward, o.strike, YEARS[expiry], RATE, o.iv)
        for name in ("delta", "gamma", "theta", "vega", "rho"):
            assert pytest.approx(getattr(published, name)(*given), rel=1e-9, abs=1e-12) == getattr(o, name), (name, o.strike)


@both
def test_atm_iv(expiry: str) -> None:
    """Volatilities of the two strikes beside the forward, solved with 40 digits, and a straight line between them."""
    a, row = answer(expiry), made(expiry)[1]
    above = int(np.searchsorted(a.strikes, row["forward_price"]))
    ivs = [
        precise.implied(w, row["forward_price"], a.strikes[at], years=YEARS[expiry], rate=RATE, paid=float(a.mid(side)[at]))
        for w, at, side in ((-1, above - 1, "put_options"), (1, above, "call_options"))
    ]
    share = (row["forward_price"] - a.strikes[above - 1]) / (a.strikes[above] - a.strikes[above - 1])
    assert pytest.approx(float(ivs[0] + share * (ivs[1] - ivs[0])), rel=1e-9) == row["atm_iv"]


@both
def test_exposure(expiry: str) -> None:
    """Vollib's gamma times the vendor's OI, as arrays."""
    a, row, (calls, _) = answer(expiry), made(expiry)[1], calls_and_puts(expiry)
    forward = row["forward_price"]
    gamma = np.array([published.gamma("c", forward, k, YEARS[expiry], RATE, o.iv) for k, o in zip(a.strikes, calls, strict=True)])
    each = gamma * (a.of["call_options"]["oi"] - a.of["put_options"]["oi"]) * a.spot**2 * 0.01
    assert pytest.approx(each.sum(), rel=1e-9) == row["net_gex"]


@both
def test_zero_gamma_level(expiry: str) -> None:
    """Net exposure by vollib's gamma is of unlike signs a rupee below and above the level."""
    a, row, (calls, _) = answer(expiry), made(expiry)[1], calls_and_puts(expiry)
    interest = a.of["call_options"]["oi"] - a.of["put_options"]["oi"]

    def net(level: float) -> float:
        forward = row["forward_price"] * level / a.spot
        gammas = [published.gamma("c", forward, k, YEARS[expiry], RATE, o.iv) for k, o in zip(a.strikes, calls, strict=True)]
        return float(np.array(gammas) @ interest)

    assert net(row["zero_gamma_level"] - 1) * net(row["zero_gamma_level"] + 1) < 0


@both
def test_skew(expiry: str) -> None:
    """Numpy's interpolation of volatility over vollib's delta, on each wing from the strike beside the forward on."""
    a, row, (calls, _) = answer(expiry), made(expiry)[1], calls_and_puts(expiry)
    forward = row["forward_price"]
    above = int(np.searchsorted(a.strikes, forward))
    wings = []
    for flag, sign, far in (("c", 1, a.strikes >= a.strikes[above - 1]), ("p", -1, a.strikes <= a.strikes[above])):
        ks, ivs = a.strikes[far], np.array([o.iv for o, there in zip(calls, far, strict=True) if there])
        deltas = sign * np.array(
            [published.delta(flag, forward, k, YEARS[expiry], RATE, iv) for k, iv in zip(ks, ivs, strict=True)]
        )
        order = np.argsort(deltas)
        wings.append(float(np.interp(0.25, deltas[order], ivs[order])))
    assert [pytest.approx(w, rel=1e-8) for w in wings] == [row["call_iv_25d"], row["put_iv_25d"]]
    assert pytest.approx(wings[0] - wings[1], abs=1e-9) == row["risk_reversal_25d"]


@both
def test_levels(expiry: str) -> None:
    """All strikes sorted by the vendor's OI."""
    a, row = answer(expiry), made(expiry)[1]
    for name, side, beyond in (
        ("support", "put_options", a.strikes < a.spot),
        ("resistance", "call_options", a.strikes > a.spot),
    ):
        held = np.where(beyond, a.of[side]["oi"], -1)
        best = np.argsort(-held)[:3]
        assert (a.strikes[best].tolist(), held[best].tolist()) == (row[f"{name}_strikes"], row[f"{name}_oi"])
        assert (held - a.of[side]["prev_oi"])[best].tolist() == row[f"{name}_oi_change"]


@both
def test_quality(expiry: str) -> None:
    """Nothing is wrong with the whole of a real chain; its options that did not trade, or whose OI moved without, are flagged."""
    [after] = run(Batch((make_message(0, recorded_message(expiry, RECEIVED[expiry])),)), make(CheckChain, rate_pct=100 * RATE))
    chain, a = after.messages[0].value, answer(expiry)
    flags = {
        s: [set((o.quality or "").split(",")) - {""} for o in chain.options if o.option_type == t]
        for s, t in (("call_options", "CE"), ("put_options", "PE"))
    }
    assert None is chain.context.quality
    for side, of_side in flags.items():
        of = a.of[side]
        outside = (of["bid_price"] > 0) & ((of["ltp"] < of["bid_price"]) | (of["ltp"] > of["ask_price"]))
        stale = (of["ltp"] > 0) & ((of["volume"] == 0) | outside)
        moved = np.abs(of["oi"] - of["prev_oi"]) > of["volume"]
        assert stale.tolist() == ["stale_price" in f for f in of_side]
        assert moved.tolist() == ["impossible_oi" in f for f in of_side]
