"""Each figure of `summarise_chain` by a second route, and what is null where it is not defined."""
# what is expected stands first in an assert

from __future__ import annotations

import json
import math
import re
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import mpmath as mp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kit import precise
from kit.chains import batch_of, chain_json, option_fields
from kit.priced import EXPIRY, instant, priced_chain
from stockifyd.api import Batch, configure
from stockifyd.testing import TransformContract, make, make_message, run
from stockifyd_optionchain import Chain, ClassifyBuildup, EnrichGreeks, SummariseChain, analytics
from stockifyd_optionchain.chain import ChainContext, Option
from stockifyd_optionchain.summarise_chain import COLUMNS

ROOT = Path(__file__).resolve().parents[3]
FORWARD = 26_000.0
STRIKES = [24_500.0 + 50 * n for n in range(61)]
FIGURES = COLUMNS[3:]
MOODS = tuple(name for name in COLUMNS if name.startswith("mood_"))
OI = st.none() | st.integers(0, 2**40)


class TestContract(TransformContract[SummariseChain]):
    """It keeps the contract of transforms."""

    transform = SummariseChain

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"rate_pct": 6.5, "level_count": 2, "mood_weights": {"skew": 0, "gex": -2.5}}

    def batch(self) -> Batch:
        several = chain_json(options=[option_fields(), option_fields(expiry="2026-12-01")])
        return batch_of([chain_json(), several, b"bad", chain_json(symbol_id=25)])


def rows(chain: Chain | bytes, *before: Any, **options: Any) -> list[dict[str, Any]]:
    message = make_message(0, chain) if isinstance(chain, bytes) else make_message(0, b"x", value=chain)
    [after] = run(Batch((message,)), *before, make(SummariseChain, **{"rate_pct": 6.5, **options}))
    assert () == after.rejected
    return list(after.tables["analytics"].dicts())


def summary(chain: Chain | bytes, *before: Any, **options: Any) -> dict[str, Any]:
    [row] = rows(chain, *before, **options)
    return row


def with_oi(chain: Chain, oi: list[int | None]) -> Chain:
    return replace(chain, options=[replace(o, oi=one) for o, one in zip(chain.options, oi, strict=True)])


def traded(count: int = len(STRIKES), seed: int = 7, **options: Any) -> Chain:
    """A chain with greeks, open interest and volume."""
    chain = priced_chain(FORWARD, STRIKES[:count], iv=lambda k: 0.13 + ((k - FORWARD) / 8_000) ** 2, **options)
    [after] = run(Batch((make_message(0, b"x", value=chain),)), make(EnrichGreeks, rate_pct=6.5))
    made: Chain = after.messages[0].value
    held = [65 * ((n * seed * 7919) % 4001) for n in range(len(made.options))]
    return replace(
        made,
        options=[
            replace(o, oi=h, prev_oi=h // 2, volume=h * 3 + 65 * (o.option_type == "CE"), prev_close=(o.ltp or 0) + 5 - n % 11)
            for n, (o, h) in enumerate(zip(made.options, held, strict=True))
        ],
    )


TRADED = traded()
SPOT = (TRADED.context and TRADED.context.spot_price) or 0.0


def side(chain: Chain, option_type: str) -> list[Option]:
    return [o for o in chain.options if o.option_type == option_type]


def test_columns_are_those_of_the_table() -> None:
    """The table that ships has the columns of the rows, in their order."""
    sql = (ROOT / "plugins" / "stockifyd_postgres" / "tables" / "option_analytics.sql").read_text()
    assert list(COLUMNS) == re.findall(r'^  "?([a-z0-9_]+)"? (?:timestamptz|integer|date|double|bigint)', sql, re.MULTILINE)


def test_whose_row_it_is() -> None:
    """A row is of a symbol, an expiry and an instant in UTC; a message of several expiries gives several, rising."""
    later = [replace(o, expiry=EXPIRY + timedelta(days=7), oi=5) for o in TRADED.options]
    first, second = rows(replace(TRADED, options=later + TRADED.options))
    assert [(EXPIRY, 13), (EXPIRY + timedelta(days=7), 13)] == [(row["expiry"], row["symbol_id"]) for row in (first, second)]
    assert (UTC, TRADED.timestamp) == (first["timestamp"].tzinfo, first["timestamp"])
    assert summary(TRADED) == first
    assert 1.0 == second["pcr_oi"]


def test_put_call_ratios() -> None:
    """Puts over calls, by open interest and by volume."""
    row, puts, calls = summary(TRADED), side(TRADED, "PE"), side(TRADED, "CE")
    assert sum(o.oi or 0 for o in puts) / sum(o.oi or 0 for o in calls) == row["pcr_oi"]
    assert sum(o.volume or 0 for o in puts) / sum(o.volume or 0 for o in calls) == row["pcr_volume"] != row["pcr_oi"]


@given(st.lists(st.tuples(OI, OI), min_size=1, max_size=10))
def test_sides_swapped_is_the_reciprocal(interest: list[tuple[int | None, int | None]]) -> None:
    """Swapping calls and puts turns a ratio into its reciprocal, and a mood that hangs on it into its negative."""

    def chain_of(swapped: bool) -> Chain:
        sides = ("PE", "CE") if swapped else ("CE", "PE")
        options = [Option(EXPIRY, 100.0 + n, s, oi=oi, volume=oi) for n, both in enumerate(interest)
                   for s, oi in zip(sides, both, strict=True)]  # fmt: skip
        return Chain(instant(timedelta(days=1)), 13, "NIFTY", options)

    one, other = summary(chain_of(False)), summary(chain_of(True))
    for name in ("pcr_oi", "pcr_volume"):
        ratio, reciprocal = one[name], other[name]
        if ratio and reciprocal:
            assert pytest.approx(1 / ratio) == reciprocal
        else:  # no calls: null; no puts: 0, whose reciprocal is null
            assert ratio is None or reciprocal is None
        mood, turned = one[f"mood_{name}"], other[f"mood_{name}"]
        assert (mood is None) == (turned is None)
        assert mood is None or pytest.approx(-mood) == turned


@given(st.dictionaries(st.integers(1, 2000).map(lambda n: n * 12.5), st.tuples(OI, OI), min_size=1, max_size=30), st.booleans())
def test_max_pain(strikes: dict[float, tuple[int | None, int | None]], huge: bool) -> None:
    """The lowest listed strike of those at which least is paid, term by term; also where floats no longer hold the OI."""
    options = [
        Option(EXPIRY, k, s, oi=oi if oi is None or not huge else oi * 2**14 + 1)
        for k, both in strikes.items() for s, oi in zip(("CE", "PE"), both, strict=True)
    ]  # fmt: skip

    def paid(settled: float) -> float:
        signs = {"CE": 1, "PE": -1}
        return sum((o.oi or 0) * int(4 * max(signs[o.option_type] * (settled - o.strike), 0)) for o in options)

    expected = min(sorted(strikes), key=paid) if any(o.oi for o in options) else None
    assert expected == summary(Chain(instant(timedelta(days=1)), 13, "NIFTY", options))["max_pain_strike"]


def test_gamma_exposure() -> None:
    """Calls plus, puts minus: gamma * OI * spot^2 * 0.01, summed with exact fractions."""
    row = summary(TRADED)
    expected = {s: math.fsum((o.gamma or 0) * (o.oi or 0) * SPOT**2 * 0.01 for o in side(TRADED, s)) for s in ("CE", "PE")}
    assert pytest.approx(expected["CE"], rel=1e-13) == row["call_gex"]
    assert pytest.approx(-expected["PE"], rel=1e-13) == row["put_gex"]
    assert pytest.approx(expected["CE"] - expected["PE"], abs=1e-13 * sum(expected.values())) == row["net_gex"]


@given(st.integers(2, 1000))
def test_scaling_oi_scales_exposure(factor: int) -> None:
    """Twice the open interest is twice the exposure, and changes no ratio and no level."""
    one, other = summary(TRADED), summary(with_oi(TRADED, [(o.oi or 0) * factor for o in TRADED.options]))
    assert [pytest.approx(one[n] * factor) for n in ("call_gex", "put_gex", "net_gex")] == [
        other[n] for n in ("call_gex", "put_gex", "net_gex")
    ]
    same = ("pcr_oi", "max_pain_strike", "support_strikes", "resistance_strikes", "atm_iv")
    assert [one[n] for n in same] == [other[n] for n in same]
    assert pytest.approx(one["zero_gamma_level"], rel=1e-9) == other["zero_gamma_level"]


def net_gamma(chain: Chain, level: float) -> Any:
    """Net exposure at a level of spot, with 40 digits: each option's gamma at its own iv, the forward moved with spot."""
    years, total = timedelta(days=5) / timedelta(days=365), mp.mpf(0)
    for o in chain.options:
        if o.iv and o.oi:
            at = {"years": years, "rate": 0.065, "iv": o.iv}
            total += (
                (1 if o.option_type == "CE" else -1) * o.oi * precise.greeks(1, FORWARD * level / SPOT, o.strike, **at)["gamma"]
            )
    return total * level**2 / 100


def test_zero_gamma_level() -> None:
    """Net exposure at the level is nil to nine digits, and of one sign between it and spot."""
    chain = with_oi(TRADED, [1000 if (o.strike > 25_800) == (o.option_type == "CE") else 0 for o in TRADED.options])
    level = summary(chain)["zero_gamma_level"]
    assert abs(net_gamma(chain, level)) < 1e-8 * abs(net_gamma(chain, SPOT))
    beside = [net_gamma(chain, level + (SPOT - level) * mp.mpf(share) / 10) > 0 for share in range(1, 11)]
    assert 1 == len(set(beside))
    assert beside[0] != (net_gamma(chain, level - (SPOT - level) / 10) > 0)


def test_no_zero_gamma_level() -> None:
    """Calls alone are never short of gamma; and a level outside of the range is not looked for."""
    calls = with_oi(TRADED, [100 if o.option_type == "CE" else 0 for o in TRADED.options])
    level = summary(TRADED)["zero_gamma_level"]
    near = abs(level / SPOT - 1) * 100
    assert (None, None) == (
        summary(calls)["zero_gamma_level"], summary(TRADED, zero_gamma_range_pct=near * 0.9)["zero_gamma_level"]
    )  # fmt: skip
    assert pytest.approx(level) == summary(TRADED, zero_gamma_range_pct=near * 1.1)["zero_gamma_level"]


def test_far_from_every_strike_is_no_level() -> None:
    """Where every gamma is next to nothing its sign says nothing: an hour before, at one strike."""
    chain = priced_chain(FORWARD, [FORWARD], before=timedelta(hours=1), oi=65)
    puts = with_oi(chain, [65, 130])
    assert None is summary(puts, make(EnrichGreeks, rate_pct=6.5))["zero_gamma_level"]


def test_at_the_money() -> None:
    """`atm_iv` lies on a straight line between the strikes beside the forward."""
    row = summary(TRADED)
    below, above = (next(o.iv or 0 for o in TRADED.options if o.strike == k and o.option_type == s)
                    for k, s in ((25_950.0, "PE"), (26_000.0, "CE")))  # fmt: skip
    share = (row["forward_price"] - 25_950) / 50
    assert pytest.approx(FORWARD, rel=1e-12) == row["forward_price"]
    assert pytest.approx(below + share * (above - below), rel=1e-12) == row["atm_iv"]


def test_skew_is_that_of_the_smile() -> None:
    """25-delta volatilities are those of the smile the chain was made of, but for what a straight line leaves."""
    years = timedelta(days=5) / timedelta(days=365)
    row = summary(TRADED)

    def smile(strike: Any) -> Any:
        return mp.mpf("0.13") + ((strike - FORWARD) / 8_000) ** 2

    def away(side_: int, strike: Any) -> Any:
        iv = smile(strike)
        deviation = iv * mp.sqrt(mp.mpf(years))
        d1 = mp.log(FORWARD / strike) / deviation + deviation / 2
        return precise.discount(0.065, years) * precise.normal(side_ * d1) - mp.mpf("0.25")

    call, put = (smile(mp.findroot(lambda k, s=s: away(s, k), start)) for s, start in ((1, 26_250), (-1, 25_750)))
    assert (pytest.approx(float(call), abs=2e-5), pytest.approx(float(put), abs=2e-5)) == (row["call_iv_25d"], row["put_iv_25d"])
    assert row["call_iv_25d"] - row["put_iv_25d"] == row["risk_reversal_25d"]
    assert pytest.approx((row["call_iv_25d"] + row["put_iv_25d"]) / 2 - row["atm_iv"]) == row["butterfly_25d"]


def test_wings_that_are_too_short() -> None:
    """Strikes at the money alone reach no 25-delta, and a strike that is far past it is no neighbour of another."""
    money = replace(TRADED, options=[o for o in TRADED.options if abs(o.strike - FORWARD) <= 50])
    names = ("call_iv_25d", "put_iv_25d", "risk_reversal_25d", "butterfly_25d")
    assert [None] * 4 == [summary(money)[n] for n in names]
    puts = summary(replace(TRADED, options=[o for o in TRADED.options if o.strike <= FORWARD + 50]))
    assert [None, summary(TRADED)["put_iv_25d"], None, None] == [puts[n] for n in names]


@given(st.lists(OI, min_size=2 * 8, max_size=2 * 8), st.integers(1, 6))
def test_levels(interest: list[int | None], count: int) -> None:
    """The strikes below spot with most put OI, those above with most call OI, nearest first of equals, as by sorting them all."""
    few = with_oi(replace(TRADED, options=TRADED.options[52:68]), interest)
    row = summary(few, level_count=count)
    for name, option_type, sign in (("support", "PE", -1), ("resistance", "CE", 1)):
        beyond = [o for o in side(few, option_type) if o.oi and (o.strike - SPOT) * sign > 0]
        best = sorted(beyond, key=lambda o: (-(o.oi or 0), abs(o.strike - SPOT)))[:count]
        assert [o.strike for o in best] == row[f"{name}_strikes"]
        assert [o.oi for o in best] == row[f"{name}_oi"]
        assert [(o.oi or 0) - (o.prev_oi or 0) for o in best] == row[f"{name}_oi_change"]


def test_mood_is_made_of_its_components() -> None:
    """Each component by its definition, and the mood their weighted mean."""
    weights = {"pcr_oi": 1, "pcr_volume": 0, "max_pain": 2, "gex": 0.5, "skew": -3, "levels": 4, "buildup": 2.5}
    row = summary(TRADED, make(ClassifyBuildup), mood_weights=weights)
    deviation = SPOT * row["atm_iv"] * math.sqrt(5 / 365)
    expected = {
        "mood_pcr_oi": 100 * (row["pcr_oi"] - 1) / (row["pcr_oi"] + 1),
        "mood_pcr_volume": 100 * (row["pcr_volume"] - 1) / (row["pcr_volume"] + 1),
        "mood_max_pain": max(-100, min(100, 100 * (row["max_pain_strike"] - SPOT) / deviation)),
        "mood_gex": 100 * row["net_gex"] / (row["call_gex"] - row["put_gex"]),
        "mood_skew": 100 * row["risk_reversal_25d"] / (row["call_iv_25d"] + row["put_iv_25d"]),
        "mood_levels": 100 * (sum(row["support_oi"]) - sum(row["resistance_oi"]))
        / (sum(row["support_oi"]) + sum(row["resistance_oi"])),
    }  # fmt: skip
    bullish = bearish = 0
    for o in TRADED.options:
        moved, built = round((o.ltp or 0) - (o.prev_close or 0), 6), (o.oi or 0) - (o.prev_oi or 0)
        if moved == 0 or o.ltp == 0:
            continue
        if (moved > 0) == (o.option_type == "CE"):
            bullish += abs(built)
        else:
            bearish += abs(built)
    expected["mood_buildup"] = 100 * (bullish - bearish) / (bullish + bearish)
    assert [pytest.approx(v) for v in expected.values()] == [row[n] for n in expected]
    total = sum(abs(w) for w in weights.values())
    mean = sum(w * row[f"mood_{n}"] for n, w in weights.items()) / total
    assert pytest.approx(mean) == row["market_mood"]


def test_unknown_components_count_nothing() -> None:
    """Without `classify_buildup` there is no build-up; the mood is the mean of the others."""
    row = summary(TRADED)
    known = [row[name] for name in MOODS if row[name] is not None]
    assert (None, 6, pytest.approx(sum(known) / 6)) == (row["mood_buildup"], len(known), row["market_mood"])
    zero = dict.fromkeys((name.removeprefix("mood_") for name in MOODS), 0)
    assert None is summary(TRADED, mood_weights=zero)["market_mood"]


def test_an_option_that_is_only_named() -> None:
    """Of a chain without anything but its options' names every figure is null, and every level empty."""
    options = [{"expiry": "2026-11-24", "strike": 26000, "option_type": s} for s in ("CE", "PE")]
    row = summary(chain_json(context=None, options=options))
    assert {name: [] if name.startswith(("support", "resistance")) else None for name in FIGURES} == {n: row[n] for n in FIGURES}


def test_no_open_interest() -> None:
    """Zero OI and zero volume: ratios, max pain, exposure's level and the moods made of them are null, not 0."""
    still = replace(TRADED, options=[replace(o, oi=0, volume=0) for o in TRADED.options])
    row = summary(still)
    names = ("pcr_oi", "pcr_volume", "max_pain_strike", "zero_gamma_level", "mood_gex", "mood_levels", "mood_pcr_oi")
    assert [None] * len(names) == [row[n] for n in names]
    assert (0.0, 0.0, []) == (row["net_gex"], row["call_gex"], row["support_strikes"])


def test_gamma_below_zero() -> None:
    """A vendor's gamma below zero is summed as it is, but of exposures below nothing no mood can be told."""
    turned = replace(
        TRADED, options=[replace(o, gamma=-2 * o.gamma if o.option_type == "CE" and o.gamma else o.gamma) for o in TRADED.options]
    )
    row = summary(turned)
    assert row["call_gex"] < 0
    assert row["mood_gex"] is None


def test_no_calls() -> None:
    """Puts alone: no ratio; all that is there is bearish or bullish entirely."""
    row = summary(replace(TRADED, options=side(TRADED, "PE")))
    assert (None, 0.0, 100.0, -100.0) == (row["pcr_oi"], row["call_gex"], row["mood_levels"], row["mood_gex"])
    assert None is row["mood_pcr_oi"]


def test_without_a_spot() -> None:
    """Exposure, levels and pull need a spot; the forward, ratios and volatilities do not."""
    for context in (None, ChainContext(), ChainContext(spot_price=0.0)):
        row = summary(replace(TRADED, context=context))
        gone = ("spot_price", "call_gex", "put_gex", "net_gex", "zero_gamma_level", "mood_max_pain", "mood_gex", "mood_levels")
        assert [None] * len(gone) == [row[n] for n in gone]
        assert [[]] * 6 == [row[n] for n in COLUMNS if n.startswith(("support", "resistance"))]
        assert (pytest.approx(FORWARD), summary(TRADED)["pcr_oi"]) == (row["forward_price"], row["pcr_oi"])


def test_settled() -> None:
    """After settlement what open interest tells stays, what needs time is null."""
    row = summary(replace(TRADED, timestamp=instant(timedelta(0))))
    gone = ("forward_price", "zero_gamma_level", "atm_iv", "call_iv_25d", "put_iv_25d", "mood_max_pain", "mood_skew")
    assert [None] * len(gone) == [row[n] for n in gone]
    assert summary(TRADED)["max_pain_strike"] == row["max_pain_strike"]


NUMBERS = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([100.0, 101.0, 150.0, 1e-3, 1e300]), st.sampled_from(["CE", "PE"]), NUMBERS, NUMBERS, NUMBERS, OI
        ),
        min_size=1,
        max_size=10,
    ),
    st.none() | st.sampled_from([0.0, 100.5, 1e308, math.nan]),
    st.floats(-1, 400),
)
def test_any_chain_has_figures_or_nulls(quotes: list[Any], spot: float | None, days: float) -> None:
    """Whatever is in a chain, NaN among it, nothing is raised, moods are within their bounds, and no number is not finite."""
    options = [Option(EXPIRY, k, s, bid=p, ask=p, iv=v, gamma=g, delta=g, oi=oi, volume=oi) for k, s, p, v, g, oi in quotes]
    chain = Chain(instant(timedelta(days=days)), 13, "NIFTY", options, ChainContext(spot_price=spot))
    for row in rows(chain, make(ClassifyBuildup)):
        flat = [v for value in row.values() for v in (value if isinstance(value, list) else [value])]
        assert all(math.isfinite(v) for v in flat if isinstance(v, float))
        assert all(row[n] is None or -100 <= row[n] <= 100 for n in (*MOODS, "market_mood"))


def test_rows_can_be_json() -> None:
    """A Kafka sink can write a row: it holds plain values."""
    assert 31 == len(json.loads(msgspec.json.encode(summary(TRADED))))


def test_the_extra_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one of the two is missing, the finding names that one."""
    monkeypatch.setattr(analytics, "find_spec", lambda name: None if name == "pyvolr" else 1)
    with pytest.raises(msgspec.ValidationError, match=r"pyvolr must be installed: pip install 'stockifyd\[greeks\]'"):
        configure(SummariseChain, {"rate_pct": 6.5})
