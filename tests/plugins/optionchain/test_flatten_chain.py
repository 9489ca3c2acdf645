"""What `flatten_chain` makes of every variant of the canonical chain."""
# what is expected stands first in an assert

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kit.chains import batch_of, chain_fields, chain_json, context_fields, option_fields
from stockifyd.api import Batch, Message, Row
from stockifyd.testing import Case, TransformContract, golden, make, make_message
from stockifyd_optionchain import Chain, FlattenChain
from stockifyd_optionchain.flatten_chain import OPTIONS, SNAPSHOTS

SNAPSHOT_COLUMNS = (
    "timestamp symbol_id expiry exchange segment spot_price spot_change spot_change_pct total_call_oi total_put_oi pcr_ratio "
    "atm_iv atm_iv_change max_pain_strike days_to_expiry lot_size tick_size quality"
)
OPTION_COLUMNS = (
    "timestamp symbol_id expiry strike_price option_type ltp bid ask bid_qty ask_qty prev_close price_change volume prev_volume "
    "oi prev_oi oi_change iv delta gamma theta vega rho quality"
)
NINE_FIFTEEN = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)


class TestContract(TransformContract[FlattenChain]):
    """It keeps the contract of transforms."""

    transform = FlattenChain

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {}

    def batch(self) -> Batch:
        several = chain_json(options=[option_fields(), option_fields(expiry="2026-12-01")])
        return batch_of([chain_json(), several, b"bad", chain_json(symbol_id=25)])


@golden(Path(__file__).parent / "flatten_chain_cases")
def test_cases(case: Case) -> None:
    """Each folder of `flatten_chain_cases`: messages in, rows and dead letters out."""
    case.check(FlattenChain)


def flattened(*messages: bytes | Message) -> Batch:
    made = (m if isinstance(m, Message) else make_message(n, m) for n, m in enumerate(messages))
    after = asyncio.run(make(FlattenChain).apply(Batch(tuple(made))))
    assert isinstance(after, Batch)
    return after


def snapshots(**changes: Any) -> list[dict[str, Any]]:
    return list(flattened(chain_json(**changes)).tables["snapshots"].dicts())


def option_rows(*options: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    return list(flattened(chain_json(options=list(options), **changes)).tables["options"].dicts())


def test_columns() -> None:
    """Both tables have exactly the columns of the schema, in its order."""
    assert (tuple(SNAPSHOT_COLUMNS.split()), tuple(OPTION_COLUMNS.split())) == (SNAPSHOTS, OPTIONS)


def test_snapshot_row() -> None:
    """A full context goes into the snapshot as it came."""
    expected: Row = (NINE_FIFTEEN, 13, date(2026, 11, 24), *context_fields().values())
    assert [expected] == flattened(chain_json()).tables["snapshots"].rows


def test_option_rows() -> None:
    """Each option is a row behind the chain's timestamp and symbol."""
    call = (NINE_FIFTEEN, 13, date(2026, 11, 24), *list(option_fields().values())[1:])
    assert [call, (*call[:4], "PE", *call[5:14], 26000, 26000, 0, *call[17:])] == flattened(chain_json()).tables["options"].rows


def test_offset_becomes_utc() -> None:
    """A time with any offset is the same instant in UTC."""
    for text in ("2026-11-23T09:15:00+05:30", "2026-11-22T23:45:00-04:00", "2026-11-23t03:45:00.000Z"):
        [row] = snapshots(timestamp=text)
        assert (row["timestamp"], row["timestamp"].tzinfo) == (NINE_FIFTEEN, UTC)


def test_context_may_be_absent() -> None:
    """Without a context what the options tell is computed, and the rest is null."""
    expected = dict.fromkeys(SNAPSHOTS) | {
        "timestamp": NINE_FIFTEEN,
        "symbol_id": 13,
        "expiry": date(2026, 11, 24),
        "total_call_oi": 13000,
        "total_put_oi": 26000,
        "pcr_ratio": 2.0,
        "max_pain_strike": 26000.0,
        "days_to_expiry": 1,
    }
    assert [expected] == snapshots(context=...) == snapshots(context=None) == snapshots(context=dict.fromkeys(context_fields()))


def test_percent_from_change() -> None:
    """The change in percent is computed from spot and change where it is absent."""
    [row] = snapshots(context=context_fields(spot_price=110.0, spot_change=10.0, spot_change_pct=None))
    assert 10.0 == row["spot_change_pct"]


def test_percent_of_nothing_is_null() -> None:
    """A change that leaves nothing to divide by, or overflows, gives no percentage."""
    for spot, change in ((10.0, 10.0), (10.0, 11.0), (1e308, -1e308), (None, 1.0)):
        [row] = snapshots(context={"spot_price": spot, "spot_change": change})
        assert row["spot_change_pct"] is None


def test_pcr_without_calls_is_null() -> None:
    """A put-call ratio without call OI is null, not 0 and not an error."""
    [row] = snapshots(context={}, options=[option_fields(option_type="PE", oi=5), option_fields(oi=0)])
    assert (0, 5, None) == (row["total_call_oi"], row["total_put_oi"], row["pcr_ratio"])


def test_unknown_open_interest_is_null() -> None:
    """Where no option tells its OI, totals, ratio and max pain are null."""
    [row] = snapshots(context={}, options=[option_fields(oi=None)])
    assert [row[name] for name in ("total_call_oi", "total_put_oi", "pcr_ratio", "max_pain_strike")] == [None] * 4


def test_days_are_counted_in_india() -> None:
    """After 18:30 UTC it is the next day at the exchange."""
    days = [snapshots(timestamp=t, context={})[0]["days_to_expiry"] for t in ("2026-11-23T18:29:59Z", "2026-11-23T18:30:00Z")]
    assert [1, 0] == days


def test_several_expiries() -> None:
    """Each expiry has a snapshot of its own, computed from its options; only figures of the market are shared."""
    options = [
        option_fields(expiry="2026-12-01", oi=10),
        option_fields(expiry="2026-11-24", oi=20),
        option_fields(expiry="2026-12-01", option_type="PE", oi=40),
        option_fields(expiry="2026-11-24", option_type="PE", oi=10),
    ]
    expected = [
        (date(2026, 11, 24), 26010.0, 20, 10, 0.5, None, 1, 65),
        (date(2026, 12, 1), 26010.0, 10, 40, 4.0, None, 8, 65),
    ]
    names = ("expiry", "spot_price", "total_call_oi", "total_put_oi", "pcr_ratio", "atm_iv", "days_to_expiry", "lot_size")
    rows = snapshots(options=options)
    assert expected == [tuple(row[name] for name in names) for row in rows]
    assert [date(2026, 12, 1), date(2026, 11, 24)] == [row["expiry"] for row in option_rows(*options)][:2]


def test_changes_are_computed_where_absent() -> None:
    """Changes of price and OI come from the values before, where those are known; a given one stays."""
    rows = option_rows(
        option_fields(price_change=None, oi_change=None, ltp=10.1, prev_close=10.05),
        option_fields(strike=1.0, price_change=None, oi_change=7, prev_close=None),
        option_fields(strike=2.0, price_change=None, oi_change=None, ltp=None, prev_oi=None),
    )
    assert [(0.05, 650), (None, 7), (None, None)] == [(row["price_change"], row["oi_change"]) for row in rows]


def test_only_the_key_is_required() -> None:
    """An option may be nothing but expiry, strike and type."""
    [row] = option_rows({"expiry": "2026-11-24", "strike": 26000, "option_type": "PE"})
    assert (26000.0, "PE", {None}) == (row["strike_price"], row["option_type"], set(list(row.values())[5:]))


def test_unknown_fields_are_ignored() -> None:
    """Upstream may add fields anywhere."""
    options = [option_fields(new={"deep": [1]}), option_fields(option_type="PE")]
    after = flattened(chain_json(version=2, context=context_fields(new=1), options=options))
    assert ((), 2) == (after.rejected, len(after.tables["options"].rows))


def test_a_decoded_value_is_taken() -> None:
    """A value that a transform before made is used instead of the bytes: a dict, or a typed chain."""
    plain = chain_fields()
    typed = msgspec.convert(plain, Chain)
    expected = flattened(chain_json()).tables
    assert (
        expected == flattened(make_message(0, b"x", value=plain)).tables == flattened(make_message(0, b"x", value=typed)).tables
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_value_that_json_cannot_hold(number: float) -> None:
    """NaN and infinity made by a transform before are rejected, though COPY would take them."""
    typed = msgspec.convert(chain_fields(options=[option_fields(), option_fields(strike=1.0, delta=number)]), Chain)
    plain = chain_fields(context=context_fields(spot_change=number))
    reasons = [flattened(make_message(0, value=value)).rejected[0].reason for value in (typed, plain)]
    assert ["options[1].delta: expected a finite number", "context.spot_change: expected a finite number"] == reasons


def test_a_typed_value_is_checked_like_json() -> None:
    """A chain built in Python obeys the same bounds as one read from JSON."""
    typed = msgspec.convert(chain_fields(), Chain)
    negative = msgspec.structs.replace(typed, options=[msgspec.structs.replace(typed.options[0], oi=-1)])
    assert "options[0].oi: expected int >= 0" == flattened(make_message(0, value=negative)).rejected[0].reason


def test_neighbours_of_a_bad_chain_are_stored() -> None:
    """A bad chain is a dead letter, and leaves no row in either table."""
    bad = json.dumps(chain_fields(options=[option_fields(), option_fields(strike=-1)])).encode()
    after = flattened(chain_json(symbol_id=1), bad, chain_json(symbol_id=3))
    assert [1] == [letter.message.position.offset for letter in after.rejected]
    assert ([1, 3], [1, 1, 3, 3]) == (after.tables["snapshots"].column("symbol_id"), after.tables["options"].column("symbol_id"))
    assert ([1, 2], [2, 4]) == (after.tables["snapshots"].ends, after.tables["options"].ends)
