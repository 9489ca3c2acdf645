"""What rows and messages are as lines of JSON and of CSV."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Reject, Table
from stockifyd.testing import make_message
from stockifyd_basic.lines import head_as_csv, messages_as_json, rows_as_csv, rows_as_json

VALUES: list[tuple[Any, Any, str]] = [
    (1, 1, "1"),
    (1.5, 1.5, "1.5"),
    (None, None, ""),
    (True, True, "true"),
    ("a,b", "a,b", "a,b"),
    ("", "", ""),
    (datetime(2026, 11, 24, 3, 45, tzinfo=UTC), "2026-11-24T03:45:00Z", "2026-11-24T03:45:00+00:00"),
    (date(2026, 11, 24), "2026-11-24", "2026-11-24"),
    (Decimal("1.50"), "1.50", "1.50"),
    (b"text", "text", "text"),
    (b"\xff\x00", {"base64": "/wA="}, "base64:/wA="),
    ([1, "a"], [1, "a"], '[1,"a"]'),
    ({"a": None}, {"a": None}, '{"a":null}'),
    (2**70, 2**70, str(2**70)),
]


def one(value: Any) -> Table:
    return Table(("first", "value"), [(1, value)], [1])


@pytest.mark.parametrize(("value", "as_json", "as_csv"), VALUES, ids=repr)
def test_values(value: Any, as_json: Any, as_csv: str) -> None:
    """Each kind of value, as JSON and as CSV."""
    assert {"first": 1, "value": as_json} == json.loads(rows_as_json("t", one(value)))
    assert [["1", as_csv]] == list(csv.reader(io.StringIO(rows_as_csv("t", one(value)).decode(), newline="")))


@given(st.lists(st.tuples(st.integers(), st.text(st.characters(exclude_categories=["Cs"])))))
def test_lines_can_be_read_again(rows: list[tuple[Any, ...]]) -> None:
    """Whatever texts hold: quotes, line ends of every kind, separators."""
    table = Table(("a", "b"), rows, [len(rows)])
    lines = rows_as_json("t", table).splitlines() if rows else []
    assert rows == [(found["a"], found["b"]) for found in map(json.loads, lines)]
    text = (head_as_csv(table.columns) + rows_as_csv("t", table)).decode()
    assert [("a", "b"), *((str(a), b) for a, b in rows)] == [tuple(r) for r in csv.reader(io.StringIO(text, newline=""))]


@pytest.mark.parametrize("write", [rows_as_json, rows_as_csv])
def test_a_row_that_cannot_be_written(write: Any) -> None:
    """Reject names the row, and not what it holds."""
    with pytest.raises(Reject) as found:
        write("t", Table(("a",), [("x",), ("\ud800secret",), ("y",)], [3]))
    assert ("t", 1, "cannot be written: a lone surrogate in a text") == (found.value.table, found.value.row, found.value.reason)


def test_messages() -> None:
    """What transforms made; else the bytes: as JSON in one line, as a text, or as base64."""
    messages = [
        make_message(value={"a": 1}),
        make_message(raw=b'{\n "a": 1}'),
        make_message(raw=b"plain"),
        make_message(raw=b"\xff"),
    ]
    assert [{"a": 1}, {"a": 1}, "plain", {"base64": "/w=="}] == [*map(json.loads, messages_as_json(messages).splitlines())]


def test_a_message_that_is_no_json() -> None:
    """Reject names no message: the runtime searches for it."""
    with pytest.raises(Reject, match="cannot be JSON"):
        messages_as_json([make_message(value=object())])
