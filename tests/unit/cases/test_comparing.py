"""Values of YAML beside values of Python."""

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.cases.comparing import ABSENT, Cell, Part, Rule, cells, is_equal

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=12,
)


class Side(enum.Enum):
    CALL = "CE"


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (None, None),
        (1, 1),
        (1, 1.0),
        (1.5, Decimal("1.5")),
        (0.1, Decimal("0.1")),
        (True, True),
        ("x", "x"),
        ("x", b"x"),
        ("2026-11-24T12:00:00Z", NOON),
        ("2026-11-24T17:30:00+05:30", NOON),
        ("2026-11-24T12:00:00Z", NOON.astimezone(timezone(timedelta(hours=5)))),
        ("2026-11-24T12:00:00", NOON.replace(tzinfo=None)),
        ("2026-11-24", date(2026, 11, 24)),
        ("09:15:00", time(9, 15)),
        ("1.50", Decimal("1.5")),
        ("12345678-1234-5678-1234-567812345678", UUID("12345678123456781234567812345678")),
        (Part("lo w"), "hello world"),
        (ABSENT, ABSENT),
        ([], []),
        ({}, {}),
    ],
)
def test_equal(expected: Any, found: Any) -> None:
    """Each stands for the other."""
    assert is_equal(expected, found)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (None, 0),
        (None, ABSENT),
        (0, None),
        (1, True),
        (False, 0),
        (True, "true"),
        (1, "1"),
        ("1", 1),
        ("1.5", 1.5),
        (1, 2),
        (0.1, 0.1 + 1e-16 + 1e-17),
        ("x", "y"),
        ("x", b"y"),
        ("2026-11-24T12:00:00", NOON),
        ("2026-11-24T12:00:00Z", NOON.replace(tzinfo=None)),
        ("2026-11-24", NOON),
        ("noon", NOON),
        ("noon", date(2026, 11, 24)),
        ("x", Decimal(1)),
        (Part("x"), "y"),
        (Part("1"), 1),
        ([], {}),
        ("[]", []),
    ],
)
def test_different(expected: Any, found: Any) -> None:
    """Neither stands for the other, and nothing is raised."""
    assert not is_equal(expected, found)


@given(st.floats(-1e300, 1e300), st.floats(1e-12, 0.5))
def test_tolerance(number: float, tolerance: float) -> None:
    """Within: alike. Beyond: not. Above 1 it is relative, below absolute."""
    room = tolerance * max(1.0, abs(number))
    assert is_equal(number, number + room / 2, tolerance)
    assert not is_equal(number, number + room * 2, tolerance)


def test_tolerance_of_what_no_float_holds() -> None:
    """A huge integer is compared as it is."""
    assert is_equal(10**400, 10**400, 0.1)
    assert not is_equal(10**400, 10**400 + 1, 0.1)


@given(JSON)
def test_a_value_is_like_itself(value: Any) -> None:
    """Whatever JSON holds equals itself, in part and exactly."""
    for exact in (False, True):
        assert all(cell.equal for cell in cells(value, value, Rule(exact)))


@given(st.dictionaries(st.text(), JSON, min_size=1, max_size=4), st.data())
def test_exact_sees_every_change(value: dict[str, Any], data: st.DataObject) -> None:
    """A key more or less is seen by an exact comparison; a key more is not by a partial one."""
    key = data.draw(st.sampled_from(sorted(value)))
    less = {k: v for k, v in value.items() if k != key}
    assert not all(cell.equal for cell in cells(less, value, Rule(exact=True)))
    assert not all(cell.equal for cell in cells(value, less, Rule()))
    assert all(cell.equal for cell in cells(less, value, Rule()))


class Inner(msgspec.Struct, rename="camel"):
    strike_price: float
    side: Side


def test_cells_of_what_python_holds() -> None:
    """Structs are mappings by the names they have in JSON, tuples are lists, enums their values."""
    found = {"options": (Inner(24000.0, Side.CALL),)}
    assert list(cells({"options": [{"strikePrice": 24000, "side": "CE"}]}, found, Rule(exact=True))) == [
        Cell(("options", 0, "strikePrice"), 24000, 24000.0, equal=True),
        Cell(("options", 0, "side"), "CE", "CE", equal=True),
    ]


def test_lists_are_as_long_as_expected() -> None:
    """An item more is a difference even in part; an item less too."""
    assert [c for c in cells([1], [1, 2], Rule()) if not c.equal] == [Cell((1,), ABSENT, 2, equal=False)]
    assert [c for c in cells([1, 2], [1], Rule()) if not c.equal] == [Cell((1,), 2, ABSENT, equal=False)]


def test_a_mapping_in_place_of_a_value() -> None:
    """What has another shape differs as a whole."""
    assert list(cells({"a": {"b": 1}}, {"a": 5}, Rule())) == [Cell(("a",), {"b": 1}, 5, equal=False)]
