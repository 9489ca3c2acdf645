"""Build-up of each option, against the previous session and against a table that a lookup made."""
# what is expected stands first in an assert

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.chains import batch_of, chain_json, option_fields
from stockifyd.api import Batch, Drift, Row, Table
from stockifyd.testing import TransformContract, make, run
from stockifyd_optionchain import ClassifyBuildup
from stockifyd_optionchain.buildup import Pressure, classify, pressure

EXPIRY = date(2026, 11, 24)
HISTORY = ("symbol_id", "expiry", "strike_price", "option_type", "ltp", "oi", "timestamp")
EARLIER = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
FOUR = ("long_buildup", "short_buildup", "long_unwinding", "short_covering")


class TestContract(TransformContract[ClassifyBuildup]):
    """It keeps the contract of transforms."""

    transform = ClassifyBuildup

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {}

    def batch(self) -> Batch:
        several = chain_json(options=[option_fields(), option_fields(expiry="2026-12-01")])
        return batch_of([chain_json(), several, b"bad", chain_json(symbol_id=25)])


class TestContractWithHistory(TestContract):
    """So it does with a table of the past."""

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"history": "history"}

    def batch(self) -> Batch:
        return with_history(super().batch(), [[past()], [], [], [past(symbol_id=25), past(option_type="PE")]])


def past(symbol_id: int = 13, strike: float = 26_000.0, option_type: str = "CE", ltp: Any = 100.0, oi: Any = 12_000) -> Row:
    return symbol_id, EXPIRY, strike, option_type, ltp, oi, EARLIER


def with_history(batch: Batch, rows: list[list[Row]], columns: tuple[str, ...] = HISTORY) -> Batch:
    ends = [sum(map(len, rows[: n + 1])) for n in range(len(rows))]
    return batch.with_table("history", Table(columns, [row for part in rows for row in part], ends))


def found(batch: Batch, **options: Any) -> list[tuple[Any, ...]]:
    """Price change, OI change and build-up of each option."""
    [after] = run(batch, make(ClassifyBuildup, **options))
    return [row[5:8] for row in after.tables["buildups"].rows]


def session(**fields: Any) -> tuple[Any, ...]:
    return found(batch_of([chain_json(options=[option_fields(**fields)])]))[0]


@pytest.mark.parametrize(
    ("price_change", "oi_change", "expected"),
    [(0.05, 65, FOUR[0]), (-0.05, 65, FOUR[1]), (-0.05, -65, FOUR[2]), (0.05, -65, FOUR[3]),
     (0.0, 65, None), (0.05, 0, None), (None, 65, None), (0.05, None, None), (math.nan, 65, None)],
)  # fmt: skip
def test_four_kinds(price_change: float | None, oi_change: int | None, expected: str | None) -> None:
    """Price and open interest, up or down; null where one did not move or is not known."""
    assert expected == classify(price_change, oi_change)


@given(st.floats(allow_nan=False), st.integers(-(2**62), 2**62))
def test_mirrored(price_change: float, oi_change: int) -> None:
    """Turning a change round turns the kind round: longs for shorts with the price, built for left with the OI."""
    of_price = dict(zip(FOUR, (FOUR[1], FOUR[0], FOUR[3], FOUR[2]), strict=True))
    of_oi = dict(zip(FOUR, (FOUR[3], FOUR[2], FOUR[1], FOUR[0]), strict=True))
    kind = classify(price_change, oi_change)
    assert (of_price.get(kind or ""), of_oi.get(kind or "")) == (
        classify(-price_change, oi_change),
        classify(price_change, -oi_change),
    )


def test_a_row_for_each_option() -> None:
    """Instant in UTC, symbol, expiry, strike and side; rows in the order of the options."""
    [after] = run(batch_of([chain_json(timestamp="2026-11-23T09:15:00+05:30")]), make(ClassifyBuildup))
    head = (datetime(2026, 11, 23, 3, 45, tzinfo=UTC), 13, EXPIRY, 26_000.0)
    assert [(*head, "CE", 1.5, 650, "long_buildup"), (*head, "PE", 1.5, 0, None)] == after.tables["buildups"].rows


def test_against_the_session() -> None:
    """Changes are taken as they came, else from the values before; a last price of 0 is none."""
    assert (1.5, 650, "long_buildup") == session()
    assert (-2.5, 650, "short_buildup") == session(price_change=-2.5)
    assert (1.5, 650, "long_buildup") == session(price_change=None, oi_change=None)
    assert (None, 650, None) == session(ltp=0.0) == session(ltp=None) == session(price_change=None, prev_close=0.0)
    assert (1.5, None, None) == session(oi_change=None, prev_oi=None)


def test_against_history() -> None:
    """Changes are against the table's values, whatever the message says of its session; decimal prices, decimal changes."""
    rows = [past(ltp=101.45, oi=13_065), past(option_type="PE", ltp=Decimal("102.1"), oi=26_650)]
    batch = with_history(batch_of([chain_json()]), [rows])
    assert [(0.05, -65, "short_covering"), (-0.6, -650, "long_unwinding")] == found(batch, history="history")


def test_history_that_does_not_know() -> None:
    """An option that is not there, or null there, or of another symbol, strike or expiry, is unknown."""
    for rows in (
        [],
        [past(symbol_id=14)],
        [past(strike=26_050.0)],
        [(13, date(2026, 12, 1), *past()[2:])],
        [past(ltp=None, oi=None)],
    ):
        assert [(None, None, None)] * 2 == found(with_history(batch_of([chain_json()]), [rows]), history="history")
    assert (None, 1000, None) == found(with_history(batch_of([chain_json()]), [[past(ltp=0.0)]]), history="history")[0]


def test_history_of_each_message() -> None:
    """A message is compared with its own rows, the last of several."""
    batch = with_history(batch_of([chain_json(), chain_json()]), [[past()], [past(ltp=1.0), past(ltp=103.0)]])
    assert [1.5, -1.5] == [row[0] for row in found(batch, history="history") if row[0] is not None]


def test_since() -> None:
    """Against a history each row says the time of what it is against; null where there is nothing, without a build-up."""
    batch = with_history(batch_of([chain_json()]), [[past(ltp=None)]])
    [after] = run(batch, make(ClassifyBuildup, history="history"))
    assert [(None, 1000, None, EARLIER), (None, None, None, None)] == [row[5:] for row in after.tables["buildups"].rows]
    assert "since" == after.tables["buildups"].columns[-1]


def test_two_of_a_kind() -> None:
    """Each makes a table of its own: what one says is what it says alone."""
    batch = with_history(batch_of([chain_json()]), [[past()]])
    [both] = run(batch, make(ClassifyBuildup), make(ClassifyBuildup, history="history", table="recent"))
    for table, options in (("buildups", {}), ("recent", {"history": "history"})):
        assert found(batch, **options) == [row[5:8] for row in both.tables[table].rows]


def test_two_of_one_name() -> None:
    """The second would take the place of the first: a finding of `validate`."""
    transform = make(ClassifyBuildup)
    with pytest.raises(ValueError, match="table: a table 'buildups' arrives already; name another one"):
        transform.tables(transform.tables({}))


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({}, "history: no table 'history' arrives here; put a transform that makes it before this one"),
        ({"history": HISTORY[:5]}, "history: table 'history' has no column 'oi'"),
    ],
)
def test_a_history_that_does_not_arrive(before: dict[str, Any], expected: str) -> None:
    """Is a finding of `validate`."""
    with pytest.raises(ValueError) as caught:
        make(ClassifyBuildup, history="history").tables(before)
    assert expected == str(caught.value)


def test_a_history_that_did_not_arrive() -> None:
    """Where nobody could tell beforehand, the pipeline halts and says so."""
    with pytest.raises(Drift, match="no table 'history' arrives here"):
        found(batch_of([chain_json()]), history="history")


def test_a_history_whose_columns_are_not_told() -> None:
    """A transform that names its table but not the columns is believed."""
    assert "buildups" in make(ClassifyBuildup, history="h").tables({"h": ()})


@given(
    st.lists(
        st.tuples(st.sampled_from(["CE", "PE"]), st.none() | st.integers(-(2**60), 2**60), st.none() | st.sampled_from(FOUR))
    )
)
def test_pressure(moves: list[Any]) -> None:
    """Calls bought or covered and puts written or left are bullish, by the size of the change; the others bearish."""
    bullish = {("CE", "long_buildup"), ("CE", "short_covering"), ("PE", "short_buildup"), ("PE", "long_unwinding")}
    known = [(side, abs(moved), kind) for side, moved, kind in moves if moved is not None and kind is not None]
    good = sum(moved for side, moved, kind in known if (side, kind) in bullish)
    assert Pressure(good, sum(moved for _, moved, _ in known) - good) == pressure(
        *([list(column) for column in zip(*moves, strict=True)] or [[], [], []])
    )
