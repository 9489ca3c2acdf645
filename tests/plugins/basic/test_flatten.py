"""What the declarative `flatten` makes of other people's JSON."""
# what is expected stands first in an assert

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.chains import batch_of, chain_json
from stockifyd.api import Batch, configure
from stockifyd.testing import Case, TransformContract, golden, make, make_message
from stockifyd_basic import Decode, Flatten

QUOTES: dict[str, Any] = {
    "table": "quotes",
    "each": "data.strikes",
    "columns": {
        "symbol": {"from": "$.symbol", "type": "text"},
        "at": {"from": "$.meta.time", "type": "timestamp"},
        "strike": {"type": "float"},
        "call_oi": {"from": "call.market.oi", "type": "bigint"},
        "best_bid": {"from": "call.bids.0.price", "type": "float", "required": False},
        "lots": {"type": "int", "default": 1},
        "raw": {"from": ".", "type": "json"},
    },
}
GOOD: dict[str, Any] = {
    "symbol": "NIFTY",
    "meta": {"time": "2026-11-23T09:15:00+05:30"},
    "data": {
        "strikes": [
            {"strike": 26000, "call": {"market": {"oi": 130}, "bids": [{"price": 1.5}]}, "lots": 2},
            {"strike": 26050.5, "call": {"market": {"oi": 65}, "bids": []}},
        ]
    },
}


class TestContract(TransformContract[Flatten]):
    """It keeps the contract of transforms."""

    transform = Flatten

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return QUOTES

    def batch(self) -> Batch:
        return batch_of([json.dumps(GOOD).encode(), b"{}", json.dumps(GOOD | {"symbol": "SENSEX"}).encode()])


@golden(Path(__file__).parent / "flatten_cases")
def test_cases(case: Case) -> None:
    """Each folder of `flatten_cases`: messages in, rows and dead letters out."""
    case.check(Flatten)


def flattened(raw: bytes, **options: Any) -> Batch:
    after = asyncio.run(make(Flatten, **options).apply(batch_of([raw])))
    assert isinstance(after, Batch)
    return after


def one_value(value: Any, type_: str, **options: Any) -> Any:
    """What a column of a type becomes; or the reason, if the message is rejected."""
    column: dict[str, Any] = {"type": type_, **{k: options.pop(k) for k in ("required", "default") if k in options}}
    message = {} if value is ... else {"x": value}
    after = flattened(json.dumps(message).encode(), table="t", columns={"x": column}, **options)
    return after.rejected[0].reason if after.rejected else after.tables["t"].rows[0][0]


def test_golden() -> None:
    """Each item of the list is a row: values from the item, from the message, from lists inside, defaults and nulls."""
    first, second = GOOD["data"]["strikes"]
    opens = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
    expected = [
        ("NIFTY", opens, 26000.0, 130, 1.5, 2, json.dumps(first, separators=(",", ":"))),
        ("NIFTY", opens, 26050.5, 65, None, 1, json.dumps(second, separators=(",", ":"))),
    ]
    table = flattened(json.dumps(GOOD).encode(), **QUOTES).tables["quotes"]
    assert (tuple(QUOTES["columns"]), expected) == (table.columns, table.rows)


def test_without_each_a_message_is_a_row() -> None:
    """Without `each` the item is the message itself."""
    assert 5 == one_value(5, "int")


def test_an_empty_list_is_no_row() -> None:
    """A list without items is a message without rows, and no error."""
    after = flattened(b'{"items": []}', table="t", each="items", columns={"x": {"type": "int"}})
    assert (1, 0) == (len(after.messages), after.row_count)


def test_a_message_may_be_a_list() -> None:
    """`each: $` is the message itself; `from: .` the item, where it is a plain value; a number is a place in a list."""
    assert [(1,), (2,)] == flattened(b"[1, 2]", table="t", each="$", columns={"x": {"from": ".", "type": "int"}}).tables["t"].rows
    columns = {"price": {"from": "0", "type": "float"}, "size": {"from": "1", "type": "int"}}
    assert [(1.5, 7)] == flattened(b'{"bids": [[1.5, 7]]}', table="t", each="$.bids", columns=columns).tables["t"].rows


def test_a_decoded_value_is_taken() -> None:
    """A value made by `decode` is used, a typed one as well, and neither is changed."""
    columns = {"expiry": {"type": "date"}, "oi": {"type": "bigint"}, "symbol_id": {"from": "$.symbol_id", "type": "int"}}
    options = {"table": "t", "each": "options", "columns": columns}
    for schema in (None, "chain"):
        before = make(Decode, schema=schema).apply(batch_of([chain_json()]))
        assert isinstance(before, Batch)
        after = asyncio.run(make(Flatten, **options).apply(before))
        assert isinstance(after, Batch)
        assert [(date(2026, 11, 24), 13000, 13), (date(2026, 11, 24), 26000, 13)] == after.tables["t"].rows
        assert before.messages == after.messages


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("int", 2**31 - 1, 2**31 - 1),
        ("int", 2**31, "x: beyond what an int (4 bytes) holds"),
        ("int", -(2**31) - 1, "x: beyond what an int (4 bytes) holds"),
        ("int", 1.5, "x: expected a whole number, got float"),
        ("int", 12.0, "x: expected a whole number, got float"),
        ("int", True, "x: expected a whole number, got bool"),
        ("int", "7", "x: expected a whole number, got text"),
        ("bigint", -(2**63), -(2**63)),
        ("bigint", 2**63, "x: beyond what a bigint (8 bytes) holds"),
        ("float", 7, 7.0),
        ("float", False, "x: expected a number, got bool"),
        ("float", "1.5", "x: expected a number, got text"),
        ("text", "é", "é"),
        ("text", "a\0b", "x: a character that no table can hold (NUL or a lone surrogate)"),
        ("text", 7, "x: expected text, got int"),
        ("bool", False, False),
        ("bool", 0, "x: expected true or false, got int"),
        ("date", "2026-11-24", date(2026, 11, 24)),
        ("date", "24-11-2026", "x: expected a date, such as 2026-11-24, got other text"),
        ("date", 20261124, "x: expected a date, such as 2026-11-24, got int"),
        ("timestamp", "2026-11-23T03:45:00Z", datetime(2026, 11, 23, 3, 45, tzinfo=UTC)),
        ("timestamp", "2026-11-23T09:15:00", "x: a time without an offset; option 'timezone' says what it means"),
        ("timestamp", "0001-01-01T00:00:00+05:30", "x: beyond the years 1 to 9999 in UTC"),
        ("timestamp", 1, "x: expected an RFC 3339 time, such as 2026-11-24T09:15:00+05:30, got int"),
        ("json", {"a": [1, None]}, '{"a":[1,null]}'),
        ("json", "\\u0000", '"\\\\u0000"'),
        ("json", {"a": "\0"}, "x: a character that no table can hold (NUL)"),
        ("json", "\\\0", "x: a character that no table can hold (NUL)"),
        ("int", None, "x: missing or null"),
        ("int", ..., "x: missing or null"),
        ("int", [1], "x: expected a whole number, got list"),
        ("text", {}, "x: expected text, got object"),
    ],
)
def test_types_are_strict(type_: str, value: Any, expected: Any) -> None:
    """A value fits its column's type exactly, or the message is rejected by path and kind."""
    assert expected == one_value(value, type_)


def test_a_number_that_json_cannot_hold() -> None:
    """NaN, or a whole number beyond any float, made by a transform before, is rejected."""
    transform = make(Flatten, table="t", columns={"x": {"type": "float"}})
    after = asyncio.run(
        transform.apply(Batch(tuple(make_message(n, value={"x": x}) for n, x in enumerate((float("nan"), 10**400)))))
    )
    assert isinstance(after, Batch)
    assert ["x: expected a finite number", "x: beyond what a float holds"] == [letter.reason for letter in after.rejected]


def test_timezone_of_naive_times() -> None:
    """`timezone` gives times without an offset one; those with one keep theirs."""
    for text in ("2026-11-23T09:15:00", "2026-11-23T03:45:00Z"):
        assert datetime(2026, 11, 23, 3, 45, tzinfo=UTC) == one_value(text, "timestamp", timezone="Asia/Kolkata")


def test_missing_values() -> None:
    """A value that is missing or null becomes the default, else null where it is not required."""
    for value in (..., None):
        assert [None, 7, 7] == [
            one_value(value, "int", required=False),
            one_value(value, "int", default=7),
            one_value(value, "int", default=7, required=False),
        ]
    assert 0 == one_value(0, "int", default=7)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data": None}, "data.strikes: expected a list, got null"),
        ({"data": {"strikes": {}}}, "data.strikes: expected a list, got object"),
        ({"data": {"strikes": [*GOOD["data"]["strikes"], {}]}}, "data.strikes[2].strike: missing or null"),
        ({"data": {"strikes": [{"strike": 1, "call": 7}]}}, "data.strikes[0].call: expected an object, got int"),
        ({"data": {"strikes": [7]}}, "data.strikes[0]: expected an object, got int"),
        ({"meta": "s3cret"}, "meta: expected an object, got text"),
        ({"symbol": 5}, "symbol: expected text, got int"),
    ],
)
def test_reasons_name_the_path(change: dict[str, Any], expected: str) -> None:
    """The reason says where, from the root of the message; the whole message is rejected."""
    after = flattened(json.dumps(GOOD | change).encode(), **QUOTES)
    assert (expected, 0) == (after.rejected[0].reason, after.row_count)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"columns": {}}, "length >= 1 - at `$.columns`"),
        ({"columns": {"x": {"type": "number"}}}, "Invalid enum value 'number'"),
        ({"columns": {"x": {"type": "int", "form": "y"}}}, "unknown field `form`"),
        ({"columns": {"X": {"type": "int"}}}, "matching regex"),
        ({"columns": {"x": {"type": "int", "from": "a..b"}}}, "'a..b' is no path"),
        ({"columns": {"x": {"type": "int", "from": "a.$.b"}}}, "'a.$.b' is no path"),
        ({"columns": {"x": {"type": "int", "default": "one"}}}, "columns.x.default: expected a whole number, got text"),
        ({"each": ""}, "'' is no path"),
        ({"timezone": "Asia/Calcutter"}, "timezone: 'Asia/Calcutter' is unknown"),
        ({"timezone": "../etc"}, "timezone: '../etc' is unknown"),
        ({"table": "Quotes"}, "matching regex"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], expected: str) -> None:
    """A description that can never work is a finding before anything runs."""
    with pytest.raises(msgspec.ValidationError) as caught:
        configure(Flatten, {"table": "t", "columns": {"x": {"type": "int"}}, **options})
    assert expected in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner, max_size=3),
    max_leaves=8,
)


@given(
    JSON,
    st.sampled_from(["int", "bigint", "float", "text", "bool", "date", "timestamp", "json"]),
    st.sampled_from(["$", "a", "a.b"]),
)
def test_any_value_is_a_row_or_a_reject(value: Any, type_: str, each: str) -> None:
    """Whatever a message holds, made by JSON or by a transform before, it is stored or rejected."""
    columns = {"x": {"type": type_, "required": False}, "y": {"from": "$.a.0.b", "type": type_, "required": False}}
    transform = make(Flatten, table="t", each=each, columns=columns)
    batch = Batch((make_message(0, json.dumps(value).encode()), make_message(1, b"null", value=value)))
    after = asyncio.run(transform.apply(batch))
    assert isinstance(after, Batch)
    assert 2 == len(after.messages) + len(after.rejected)
    assert len(after.messages) == len(after.tables["t"].ends)
