"""Expected rows beside those found, as people see them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from textwrap import dedent
from typing import Any

import pytest

from stockifyd.cases.comparing import ABSENT, Part, Rule
from stockifyd.cases.drawing import WIDEST, shown
from stockifyd.cases.listing import Difference, Listing


def difference(expected: list[Any], found: list[Any], **options: Any) -> Difference:
    told = Listing("row", expected, found, options.pop("rule", Rule()), **options).difference()
    assert told is not None
    return told


def drawing(expected: list[Any], found: list[Any], **options: Any) -> str:
    """As it is drawn, without spaces before the whole."""
    return difference(expected, found, **options).drawing


def test_cells_that_differ() -> None:
    """Rows are aligned in columns, those that differ in two lines, and what differs has a mark below it."""
    expected = [{"name": "a", "price": 1}, {"name": "bee", "price": None}]
    found = [{"name": "a", "price": 1, "more": 0}, {"name": "b", "price": 20.5, "more": 0}]
    assert drawing(expected, found) == dedent(
        """\
               name  price
          [0]  a     1
        - [1]  bee   null
        + [1]  b     20.5
               ^     ^^^^"""
    )


def test_rows_on_one_side() -> None:
    """A row that is missing has a minus, one too many a plus; the rows around them move nowhere."""
    expected = [{"n": n} for n in (1, 2, 4)]
    found = [{"n": n} for n in (0, 1, 2)]
    assert drawing(expected, found) == dedent(
        """\
               n
        + [0]  0
          [1]  1
          [2]  2
        - [2]  4"""
    )


def test_exact() -> None:
    """Columns that nobody expects are drawn too where they may not be there."""
    assert drawing([{"n": 1}], [{"n": 1, "m": 2}], rule=Rule(exact=True)) == dedent(
        """\
               n  m
        - [0]  1  (nothing)
        + [0]  1  2
                  ^"""
    )


def test_nothing_was_expected() -> None:
    """Where no column is named all are drawn."""
    assert drawing([], [{"n": 1, "m": {"k": 2}}]) == "       n  m.k\n+ [0]  1  2"


def test_in_any_order() -> None:
    """What fits nobody is beside the one that is nearest."""
    expected = [{"a": 1, "b": 1}, {"a": 2, "b": 2}]
    found = [{"a": 2, "b": 9}, {"a": 1, "b": 1}]
    assert drawing(expected, found, ordered=False) == dedent(
        """\
               a  b
          [1]  1  1
        - [1]  2  2
        + [0]  2  9
                  ^"""
    )


def test_among_others() -> None:
    """Of those that are only there too nothing is drawn but what is nearest."""
    found = [{"a": n, "b": n} for n in range(50)]
    assert drawing([{"a": 7, "b": 8}], found, others=True) == dedent(
        """\
               a  b
        - [0]  7  8
        + [7]  7  7
                  ^"""
    )


def test_many_rows() -> None:
    """Rows that are alike are counted, but for those beside one that differs; so are differences beyond ten."""
    expected = [{"n": n} for n in range(40)]
    found = [{"n": n if n < 20 else -n} for n in range(40)]
    lines = drawing(expected, found).splitlines()
    assert lines[1:3] == ["  ... 19 more", "  [19]  19"]
    assert (lines[-1], sum(line.startswith("+") for line in lines)) == ("  ... 20 more", 10)
    assert difference(expected, found).fact == "expected 20, found -20; 19 more differ"


def test_nested_values() -> None:
    """Values of messages have a column for each path; lists that are longer than expected too."""
    assert drawing([{"o": [{"k": 1}]}], [{"o": [{"k": 2}, 5]}]) == dedent(
        """\
               o[0].k  o[1]
        - [0]  1       (nothing)
        + [0]  2       5
               ^       ^"""
    )
    assert drawing([1], [2]).splitlines()[0] == "       value"


def test_wide_rows() -> None:
    """Columns that are alike give way to those that differ, and long values are cut."""
    expected = {f"column_{n}": "x" * 20 for n in range(30)}
    lines = drawing([expected], [{**expected, "column_29": "y" * 100}]).splitlines()
    assert max(map(len, lines)) <= WIDEST + 10
    assert "column_29" in lines[0]
    assert lines[-1] == "  (and 26 columns more)"
    assert f"{'y' * 29}..." in lines[2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.0, "1.0"),
        ("word", "word"),
        ("two words", "two words"),
        ("", '""'),
        ("1", '"1"'),
        ("null", '"null"'),
        (" x", '" x"'),
        ("a\nb\x00", "a b "),
        (datetime(2026, 11, 24, 3, 45, tzinfo=UTC), "2026-11-24T03:45:00Z"),
        (datetime(2026, 11, 24, 3, 45), "2026-11-24T03:45:00"),  # noqa: DTZ001
        (date(2026, 11, 24), "2026-11-24"),
        (Decimal("1.50"), "1.50"),
        (b"\xffa", "\\xffa"),
        ({"a": [1]}, '{"a": [1]}'),
        (ABSENT, "(nothing)"),
        (Part("x"), "...x..."),
    ],
)
def test_values(value: Any, text: str) -> None:
    """A value is written as a test file has it, on one line, and a string that looks like a number is told apart from one."""
    assert shown(value) == text
