"""Each rule of `check_chain`, what each policy does, and what it remembers."""
# what is expected stands first in an assert

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kit.chains import batch_of, chain_json, option_fields
from kit.priced import EXPIRY, instant, priced_chain
from stockifyd.api import Batch, Message, Partition, Position, configure
from stockifyd.testing import TransformContract, make, make_message, run
from stockifyd_optionchain import Chain, CheckChain, FlattenChain
from stockifyd_optionchain.chain import ChainContext, Option
from stockifyd_optionchain.check_chain import CHAIN_RULES, OPTION_RULES
from stockifyd_optionchain.simulator import Simulator

FORWARD = 26_000.0
STRIKES = [25_000.0 + 50 * n for n in range(41)]
CLEAN: dict[str, Any] = {"volume": 6500, "oi": 1300, "prev_oi": 650, "oi_change": 650}


class TestContract(TransformContract[CheckChain]):
    """It keeps the contract of transforms."""

    transform = CheckChain

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"rate_pct": 6.5, "crossed_quote": "drop", "impossible_oi": "dead_letter"}

    def batch(self) -> Batch:
        crossed = chain_json(options=[option_fields(), option_fields(option_type="PE", bid=9.0, ask=8.0)])
        earlier = chain_json(timestamp="2026-11-23T03:44:00Z")
        return batch_of([chain_json(), crossed, b"bad", earlier, chain_json(options=[option_fields(oi=7)])])


def clean() -> Chain:
    """A chain that breaks no rule."""
    chain = priced_chain(FORWARD, STRIKES, **CLEAN)
    return replace(chain, context=replace(chain.context or ChainContext(), lot_size=65))


def checked(*chains: Chain, **options: Any) -> Batch:
    messages = tuple(message_of(n, chain) for n, chain in enumerate(chains))
    [after] = run(Batch(messages), make(CheckChain, **{"rate_pct": 6.5, **options}))
    return after


def message_of(offset: int, chain: Chain, late: float = 0.0, partition: int = 0) -> Message:
    at = round((chain.timestamp.timestamp() + late) * 1000)
    return replace(make_message(offset, b"x", value=chain, partition=Partition("raw", partition)), timestamp_ms=at)


def changed(option_type: str = "CE", strike: float = 26_500.0, chain: Chain | None = None, **fields: Any) -> Chain:
    chain = chain or clean()
    return replace(
        chain, options=[replace(o, **fields) if (o.strike, o.option_type) == (strike, option_type) else o for o in chain.options]
    )


def flags(chain: Chain, **options: Any) -> tuple[str | None, dict[tuple[float, str], str]]:
    """What is flagged of the chain, and of each option that is."""
    [message] = checked(chain, **options).messages
    value = message.value
    return value.context and value.context.quality, {(o.strike, o.option_type): o.quality for o in value.options if o.quality}


def test_a_clean_chain() -> None:
    """Nothing is flagged, and the chain goes on as it came."""
    [message] = checked(clean()).messages
    assert clean() == message.value


@pytest.mark.parametrize("vendor_day", range(3))
def test_simulated_chains_are_clean(vendor_day: int) -> None:
    """Of a simulated session only prices without a trade are flagged."""
    for _, chain in islice(Simulator(vendor_day, date(2026, 11, 23), strikes=80, interval_secs=9_000).chains(), 30):
        whole, options = flags(chain)
        assert (None, set()) == (whole, set(options.values()) - {"stale_price"})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"bid": 9.0, "ask": 8.95}, "crossed_quote"),
        ({"bid": 9.0, "ask": 9.0, "ltp": 9.0}, None),  # locked
        ({"bid": 9.0, "ask": 0.0}, None),
        ({"bid": 9.0, "ask": None}, None),
        ({"bid": 9.0, "ask": 9.5, "ltp": 9.55}, "stale_price"),
        ({"bid": 9.0, "ask": 9.5, "ltp": 8.95}, "stale_price"),
        ({"bid": 9.0, "ask": 9.5, "ltp": 9.5}, None),
        ({"bid": 0.0, "ask": 9.5, "ltp": 9.55}, None),
        ({"ltp": None}, None),
        ({"volume": 0, "oi_change": 0, "prev_oi": 1300}, "stale_price"),
        ({"volume": 0, "oi_change": 0, "prev_oi": 1300, "ltp": 0.0}, None),
        ({"volume": None}, None),
        ({"oi": 1301, "oi_change": 651}, "impossible_oi"),  # no number of lots
        ({"oi_change": 715}, "impossible_oi"),  # 650 + 715 is not 1300
        ({"oi_change": None}, None),
        ({"oi_change": 1950, "prev_oi": None}, "impossible_oi"),  # more came than is there
        ({"volume": 585}, "impossible_oi"),  # 650 came, 585 were traded
        ({"volume": 585, "oi_change": None}, "impossible_oi"),
        ({"oi": 0, "oi_change": -650}, None),
        ({"oi": None}, None),
        ({"bid": 9.0, "ask": 8.95, "ltp": 7.0, "volume": 0}, "crossed_quote,stale_price,impossible_oi"),
    ],
)
def test_rules_of_an_option(fields: dict[str, Any], expected: str | None) -> None:
    """What is wrong with an option is named there, in the order of the rules, and nowhere else."""
    # Parity is another rule, and these quotes are made up.
    whole, options = flags(changed(**fields), parity_tolerance_pct=100)
    assert (None, {} if expected is None else {(26_500.0, "CE"): expected}) == (whole, options)


@pytest.mark.parametrize(
    ("side", "by", "broken"),
    [("CE", 30.0, True), ("CE", -30.0, True), ("PE", 30.0, True), ("CE", 25.0, False), ("CE", 0.0, False)],
)
def test_parity(side: str, by: float, broken: bool) -> None:
    """A strike whose call and put give a gain above the tolerance (26 rupees here) is flagged on both sides."""
    [before] = [o for o in clean().options if (o.strike, o.option_type) == (26_400.0, side)]
    worth = (before.bid or 0) + by
    found = flags(changed(side, 26_400.0, bid=worth, ask=worth, ltp=worth))[1]
    expected = {(26_400.0, "CE"): "parity_violation", (26_400.0, "PE"): "parity_violation"}
    assert (expected if broken else {}) == found


def test_a_wide_quote_is_no_violation() -> None:
    """Only what could be traded counts: a quote that is wide around its worth gives nobody a gain."""
    [before] = [o for o in clean().options if (o.strike, o.option_type) == (26_400.0, "CE")]
    worth = before.bid or 0
    assert {} == flags(changed("CE", 26_400.0, bid=worth - 40, ask=worth + 400))[1]


def test_parity_needs_time_and_a_forward() -> None:
    """Nothing is said of an expiry that is settled, or of one without pairs and without spot."""
    settled = replace(changed(bid=900.0, ask=900.0, ltp=900.0), timestamp=instant(timedelta(0)))
    calls = [o for o in changed(bid=900.0, ask=900.0, ltp=900.0).options if o.option_type == "CE"]
    for chain in (settled, replace(clean(), options=calls, context=None)):
        assert {} == flags(chain)[1]


def without(*strikes: float, side: str = "") -> Chain:
    chain = clean()
    return replace(chain, options=[o for o in chain.options if o.strike not in strikes or (side and o.option_type != side)])


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (clean(), None),
        (without(26_100.0), "missing_strikes"),
        (without(26_100.0, side="PE"), "missing_strikes"),
        (without(25_050.0), None),  # 3.7 percent away
        (without(*[k for k in STRIKES if k % 100]), None),  # a step of 100
        (without(*[k for k in STRIKES if k > 25_900]), "missing_strikes"),  # none above spot
        (without(*[k for k in STRIKES if abs(k - 26_000) < 900]), "missing_strikes"),  # none near it
        (replace(without(26_100.0), context=None), None),  # no spot
    ],
)
def test_missing_strikes(chain: Chain, expected: str | None) -> None:
    """Strikes near the money stand at one distance, on both sides of spot, with both options."""
    assert (expected, {}) == flags(chain)


def test_stale_chain() -> None:
    """A chain whose time is over the limit behind its message's; a message without a time says nothing."""
    for late, expected in ((59.0, None), (61.0, "stale_chain"), (-500.0, None)):
        [after] = run(Batch((message_of(0, clean(), late),)), make(CheckChain, rate_pct=6.5))
        assert expected == after.messages[0].value.context.quality
    [after] = run(Batch((replace(message_of(0, clean()), timestamp_ms=0),)), make(CheckChain, rate_pct=6.5))
    assert None is after.messages[0].value.context.quality


def at(secs: float, **fields: Any) -> Chain:
    chain = clean()
    return replace(chain, timestamp=chain.timestamp + timedelta(seconds=secs), **fields)


def qualities(batch: Batch) -> list[str | None]:
    return [message.value.context.quality for message in batch.messages]


def test_time_backwards() -> None:
    """A chain older than the one before it in its series; other series do not matter, and the same time again is none."""
    later = [replace(o, expiry=EXPIRY + timedelta(days=7)) for o in clean().options]
    batch = checked(at(10), at(9), at(10), at(10), at(5, symbol_id=14), at(5, options=later), at(8))
    assert [None, "time_backwards", None, None, None, None, "time_backwards"] == qualities(batch)


async def test_what_is_remembered() -> None:
    """Across batches the last time is known; a new transform knows none; what is read again is compared with nothing."""

    async def apply(transform: CheckChain, *messages: Message) -> list[str | None]:
        return qualities(await transform.apply(Batch(messages)))

    transform = make(CheckChain, rate_pct=6.5)
    assert [None] == await apply(transform, message_of(7, at(10)))
    assert ["time_backwards"] == await apply(transform, message_of(8, at(9)))
    assert [None] == await apply(transform, message_of(7, at(8)))  # rewound
    assert ["time_backwards"] == await apply(transform, message_of(8, at(7)))
    assert ["time_backwards"] == await apply(transform, message_of(3, at(6), partition=1))
    assert [None] == await apply(make(CheckChain, rate_pct=6.5), message_of(9, at(6)))


def test_policies() -> None:
    """Flag: it is named. Drop: it is gone, named in the context. Dead letter: the chain is rejected, by option and rule."""
    crossed = changed(bid=9.0, ask=8.95, ltp=None)
    [flagged] = checked(crossed).messages
    assert (82, None) == (len(flagged.value.options), flagged.value.context.quality)
    [dropped] = checked(crossed, crossed_quote="drop").messages
    assert (81, "crossed_quote", [None] * 81) == (
        len(dropped.value.options), dropped.value.context.quality, [o.quality for o in dropped.value.options]
    )  # fmt: skip
    after = checked(clean(), crossed, clean(), crossed_quote="dead_letter")
    place = next(n for n, o in enumerate(crossed.options) if (o.strike, o.option_type) == (26_500.0, "CE"))
    assert (2, [f"options[{place}]: crossed_quote"]) == (len(after.messages), [letter.reason for letter in after.rejected])
    assert ["missing_strikes"] == [x.reason for x in checked(without(26_100.0), missing_strikes="dead_letter").rejected]


def test_figures_after_dropping() -> None:
    """Totals, ratio and max pain are of the options that are left."""
    context = replace(clean().context or ChainContext(), total_call_oi=1, total_put_oi=2, pcr_ratio=2.0, max_pain_strike=3.0)
    chain = replace(changed(bid=9.0, ask=8.95, ltp=None), context=context)
    [message] = checked(chain, crossed_quote="drop").messages
    found = message.value.context
    assert (40 * 1300, 41 * 1300, 41 / 40) == (found.total_call_oi, found.total_put_oi, found.pcr_ratio)
    assert found.max_pain_strike in STRIKES


def test_nothing_is_left() -> None:
    """A chain of which every option is dropped is rejected."""
    chain = replace(clean(), options=[replace(o, bid=9.0, ask=8.0) for o in clean().options])
    assert ["no option is left: crossed_quote"] == [x.reason for x in checked(chain, crossed_quote="drop").rejected]


def test_a_whole_chain_is_not_dropped() -> None:
    """`drop` takes options out; for rules of the whole chain it is a finding."""
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value 'drop'"):
        configure(CheckChain, {"rate_pct": 6.5, "time_backwards": "drop"})


def test_old_flags_are_replaced() -> None:
    """Flags of a message that comes with some are those that are found now."""
    chain = changed(quality="crossed_quote")
    chain = replace(chain, context=replace(chain.context or ChainContext(), quality="stale_chain"))
    assert (None, {}) == flags(chain)


def test_flags_are_stored() -> None:
    """They are a column of `options` and of `snapshots`, and any combination of rules fits the message's type."""
    chain = changed(chain=without(26_100.0), bid=9.0, ask=8.95, ltp=None)
    [after] = run(Batch((message_of(0, chain),)), make(CheckChain, rate_pct=6.5), make(FlattenChain))
    [snapshot], options = after.tables["snapshots"].dicts(), list(after.tables["options"].dicts())
    assert ("missing_strikes", ["crossed_quote"]) == (snapshot["quality"], [row["quality"] for row in options if row["quality"]])
    for rules in (OPTION_RULES, (*OPTION_RULES, *CHAIN_RULES)):
        raw = chain_json(options=[option_fields(quality=",".join(rules))])
        assert [",".join(rules)] == [o.quality for o in msgspec.json.decode(raw, type=Chain).options]
    for wrong in ("", "a,", "a\0", "é", "A", "a" * 201):
        assert 1 == len(run(batch_of([chain_json(options=[option_fields(quality=wrong)])]), make(FlattenChain))[0].rejected)


PRICES = st.none() | st.sampled_from([0.0, 0.05, 100.0, 1e308, math.nan, math.inf])
COUNTS = st.none() | st.integers(0, 2**62)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([100.0, 150.0, 200.0, 1e-3, 1e300]), st.sampled_from(["CE", "PE"]), PRICES, PRICES, COUNTS, COUNTS
        ),
        min_size=1,
        max_size=10,
    ),
    st.none() | st.sampled_from([0.0, 150.0, 1e308, math.nan]),
    st.sampled_from(["flag", "drop", "dead_letter"]),
)
def test_any_chain_is_judged(quotes: Sequence[Any], spot: float | None, policy: str) -> None:
    """Whatever is in a chain, it goes on or is rejected, and what goes on can be encoded and read again."""
    options = [Option(EXPIRY, k, s, ltp=a, bid=a, ask=b, oi=m, volume=n) for k, s, a, b, m, n in quotes]
    chain = Chain(instant(timedelta(days=1)), 13, "NIFTY", options, ChainContext(spot_price=spot, lot_size=65))
    after = checked(chain, **dict.fromkeys(OPTION_RULES, policy))
    assert 1 == len(after.messages) + len(after.rejected)
    for message in after.messages:
        assert len(message.value.options) == len(msgspec.json.decode(msgspec.json.encode(message.value), type=Chain).options)


def test_positions_are_what_they_were() -> None:
    """The message itself is left as it was."""
    message = message_of(3, clean())
    [after] = run(Batch((message,)), make(CheckChain, rate_pct=6.5))
    assert (Position(Partition("raw", 0), 3), b"x") == (after.messages[0].position, after.messages[0].raw)
