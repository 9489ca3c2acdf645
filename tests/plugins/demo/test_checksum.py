"""The checksum of a chain's rows; that PostgreSQL computes the same is shown in tests/integration/demo."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd_demo.checksum import FLOATS, INTEGERS, checksum


def option(strike: float = 24_000.0, side: str = "CE", **values: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(FLOATS, 1.5) | dict.fromkeys(INTEGERS, 75)
    return {"expiry": "2026-11-24", "strike": strike, "option_type": side, **numbers, **values}


@given(st.permutations([option(24_000.0), option(24_000.0, "PE"), option(24_050.0)]))
def test_order(options: list[dict[str, Any]]) -> None:
    """The order of the options does not matter."""
    assert checksum([option(24_000.0), option(24_000.0, "PE"), option(24_050.0)]) == checksum(options)


@pytest.mark.parametrize("name", ["strike", *FLOATS, *INTEGERS])
def test_each_value(name: str) -> None:
    """Each value counts."""
    assert checksum([option()]) != checksum([option() | {name: 76}])


@pytest.mark.parametrize("name", [*FLOATS, *INTEGERS])
def test_null(name: str) -> None:
    """Null is not 0, and an absent value is null."""
    absent = {key: value for key, value in option().items() if key != name}
    assert checksum([option(**{name: None})]) == checksum([absent])
    assert checksum([option(**{name: None})]) != checksum([option(**{name: 0})])


def test_whole_numbers() -> None:
    """JSON may write a price without a point."""
    assert checksum([option(24_000.0, ltp=5.0)]) == checksum([option(24_000, ltp=5)])
