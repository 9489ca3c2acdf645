"""Values that COPY would take without a word."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Reject
from stockifyd_postgres.values import SLICE, check, decimals

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
WHOLE = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1))
NUMBERS = st.one_of(st.none(), st.integers(-(2**53), 2**53), st.floats(allow_nan=True, allow_infinity=True))


def column(kind: str, *values: Any) -> None:
    check("options", ("c",), {"c": kind}, [(value,) for value in values])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", (1, None, True, -5)),
        ("double precision", (1.5, 1, None, -0.0, Decimal(2), 1.7e308, 1.7e308)),
        ("timestamp with time zone", (NOW, None)),
        ("timestamp without time zone", (NOW.replace(tzinfo=None), None)),
        ("date", (date(2026, 1, 1), None)),
        ("numeric", (Decimal("1.5"), 2, None)),
        ("text", ("x", None)),
        ("jsonb", ("{}", None)),
    ],
)
def test_good_values_pass(kind: str, values: tuple[Any, ...]) -> None:
    """Whatever the column takes."""
    column(kind, *values)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", 1.5),
        ("bigint", Decimal("1.5")),
        ("double precision", math.nan),
        ("real", math.inf),
        ("double precision", "1"),
        ("timestamp with time zone", NOW.replace(tzinfo=None)),
        ("timestamp with time zone", date(2026, 1, 1)),
        ("date", NOW),
        ("numeric", Decimal("NaN")),
        ("numeric", math.nan),
        ("numeric", Decimal("sNaN")),
        ("numeric", []),
        ("double precision", Decimal("sNaN")),
        ("integer", Decimal("sNaN")),
    ],
)
def test_a_bad_value_is_found(kind: str, value: Any) -> None:
    """With its row, wherever it is."""
    for row in (0, 3, SLICE, 2 * SLICE + 1):
        values: list[Any] = [None] * (2 * SLICE + 5)
        values[row] = value
        with pytest.raises(Reject) as caught:
            column(kind, *values)
        assert (caught.value.table, caught.value.row) == ("options", row)


def test_a_row_of_another_width_is_found() -> None:
    """asyncpg drops what a row has beyond its columns."""
    with pytest.raises(Reject, match="3 values for 2 columns") as caught:
        check("options", ("a", "b"), {"a": "integer", "b": "integer"}, [(1, 2), (1, 2, 3)])
    assert caught.value.row == 1


def test_a_float_in_a_numeric_column_is_the_decimal_it_is_written_as() -> None:
    """0.1, not the 55 digits of the double nearest to it; a float elsewhere stays one."""
    rows = [(0.1, 0.1), (None, 2.5), (Decimal("0.10"), 1)]
    types = {"a": "numeric", "b": "double precision"}
    assert [(Decimal("0.1"), 0.1), (None, 2.5), (Decimal("0.10"), 1)] == decimals(("a", "b"), types, rows)


def test_no_rows_are_fine() -> None:
    """Nothing to look at."""
    column("integer")


@given(st.lists(NUMBERS, max_size=30))
def test_floats_are_refused_if_and_only_if_one_is_not_finite(values: list[float | None]) -> None:
    """A sum that overflows is no reason."""
    bad = [i for i, value in enumerate(values) if value is not None and not math.isfinite(value)]
    try:
        column("double precision", *values)
    except Reject as error:
        assert error.row == bad[0]
    else:
        assert bad == []


@given(st.lists(st.one_of(WHOLE, st.floats(allow_nan=True)), max_size=30))
def test_integers_are_refused_only_if_one_is_none(values: list[Any]) -> None:
    """A float that a sum betrays is named; zero, which it does not, loses nothing."""
    bad = [i for i, value in enumerate(values) if isinstance(value, float)]
    try:
        column("bigint", *values)
    except Reject as error:
        assert error.row == bad[0]
    else:
        assert all(values[i] == 0 for i in bad)
