"""The quick way of `flatten` beside the plain one: never another row, and what it does not take is told by the plain way."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.turns import turns_beside
from stockifyd.api import Batch, Message, Partition, Position, Reject
from stockifyd.testing import make
from stockifyd_basic import typed
from stockifyd_basic.flatten import Flatten

TYPES = ["int", "bigint", "float", "text", "bool", "date", "timestamp"]
NAMES = ["a", "b", "c"]
EDGES = [
    *(None, True, False, 0, -1, 1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**400),
    *(0.0, -0.0, 1.5, 1e16, 5e-324, 1.7976931348623157e308, float("inf"), float("nan")),
    *("", "x", "é", "\0", "\ud800", "1", "2026-11-24", "2026-02-30", "0001-01-01", "9999-12-31"),
    *("2026-11-24T09:15:00Z", "2026-11-24T09:15:00.1234567+05:30", "2026-11-24T09:15:00", "2026-11-24 09:15:00z"),
    *("0001-01-01T00:00:00+05:30", "9999-12-31T23:59:59-05:00", "2026-11-24T09:15:60Z", [], {}, [1], {"a": 1}),
]
VALUES = st.sampled_from(EDGES) | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=3)
OBJECTS = st.dictionaries(st.sampled_from([*NAMES, "d"]), VALUES, max_size=4)


def configs(each: str | None) -> st.SearchStrategy[dict[str, Any]]:
    """Columns of any types; where there is a list, some of the message."""
    column = st.fixed_dictionaries({"type": st.sampled_from(TYPES), "required": st.booleans()})
    columns = st.dictionaries(st.sampled_from(NAMES), column, min_size=1)
    if each is None:
        return columns.map(lambda some: {"table": "t", "columns": some})
    above = st.dictionaries(st.sampled_from(["top", "side"]), column, max_size=2)
    named = above.map(lambda some: {name: {**what, "from": f"$.{name}"} for name, what in some.items()})
    mixed = st.tuples(columns, named).flatmap(lambda two: st.permutations([*two[0].items(), *two[1].items()]))
    return mixed.map(lambda some: {"table": "t", "each": each, "columns": dict(some)})


def both(config: dict[str, Any], raw: bytes) -> tuple[Any, Any]:
    """What the quick way answers, and what the plain one does; a Reject by its reason."""
    transform = make(Flatten, **config)
    assert transform._typed is not None
    message = Message(Position(Partition("t"), 0), raw)
    try:
        plain: Any = list(transform._plain_rows(message))
    except Reject as why:
        plain = why.reason
    return transform._typed.rows(raw), plain


def described(rows: Any) -> Any:
    """Values with their types, and zeros with their signs."""
    return [[(type(value), repr(value)) for value in row] for row in rows]


@given(config=configs(None), value=OBJECTS | VALUES)
def test_one_row_a_message(config: dict[str, Any], value: Any) -> None:
    """What is taken equals what the plain way makes."""
    quick, plain = both(config, json.dumps(value).encode())
    assert quick is None or described(plain) == described(quick)


@given(config=configs(None), values=st.lists(OBJECTS | VALUES, max_size=4))
def test_many_messages_at_a_time(config: dict[str, Any], values: list[Any]) -> None:
    """As one by one, in order; none of them if one is not taken."""
    transform = make(Flatten, **config)
    assert transform._typed is not None
    raws = [json.dumps(value).encode() for value in values]
    messages = [Message(Position(Partition("t"), n), raw) for n, raw in enumerate(raws)]
    with patch.object(typed, "AT_A_TIME", 2):
        together = asyncio.run(transform._typed.one_each(messages))
    alone = [transform._typed.rows(raw) for raw in raws]
    if together is None:
        assert None in alone
    else:
        assert described(together) == described([row for rows in alone if rows is not None for row in rows])
        assert len(together) == len(values)


@given(config=configs("items"), top=OBJECTS, items=st.lists(OBJECTS, max_size=3) | VALUES)
def test_rows_of_a_list(config: dict[str, Any], top: dict[str, Any], items: Any) -> None:
    """Values of the message and of the item, in the order of the columns."""
    message = {"top": top.get("a"), "side": top.get("b"), "items": items}
    quick, plain = both(config, json.dumps(message).encode())
    assert quick is None or described(plain) == described(quick)


@given(config=configs(None), raw=st.binary(max_size=20))
def test_any_bytes(config: dict[str, Any], raw: bytes) -> None:
    """What is no JSON is not taken."""
    quick, plain = both(config, raw)
    assert quick is None or described(plain) == described(quick)


def test_a_good_message_is_taken() -> None:
    """Each type, and what is not required and not there."""
    columns = {name: {"type": name} for name in TYPES} | {"gone": {"type": "text", "required": False}}
    values = {"int": 1, "bigint": 2**40, "float": 1, "text": "x", "bool": True, "date": "2026-11-24"}
    raw = json.dumps({**values, "timestamp": "2026-11-24T09:15:00+05:30"}).encode()
    quick, plain = both({"table": "t", "columns": columns}, raw)
    assert quick is not None
    assert described(plain) == described(quick)


@pytest.mark.parametrize("raw", [b'{"a": 1, "b": "\xff"}', b'{"a": 1, "\xff": 2}'])
def test_no_text_where_no_column_asks(raw: bytes) -> None:
    """Bytes that are not UTF-8 are none, though no column asks for that part."""
    quick, _ = both({"table": "t", "columns": {"a": {"type": "int"}}}, raw)
    assert quick is None


@pytest.mark.parametrize(
    "config",
    [
        {"columns": {"a": {"type": "json"}}},
        {"columns": {"a": {"type": "int", "from": "b.c"}}},
        {"columns": {"a": {"type": "int", "default": 1}}},
        {"columns": {"a": {"type": "timestamp"}}, "timezone": "Asia/Kolkata"},
        {"columns": {"a": {"type": "int"}, "b": {"type": "int", "from": "a"}}},
        {"columns": {"a": {"type": "int"}}, "each": "x.y"},
        {"columns": {"a": {"type": "int", "from": "$.x"}}, "each": "x"},
    ],
)
def test_what_the_plain_way_does(config: dict[str, Any]) -> None:
    """Deep paths, JSON columns, defaults and time zones."""
    assert make(Flatten, table="t", **config)._typed is None


async def test_the_loop_runs_meanwhile() -> None:
    """The batch before these messages is being sent: others have a turn after every few."""
    count = 4 * typed.AT_A_TIME
    messages = tuple(Message(Position(Partition("t"), n), b'{"x": 1}') for n in range(count))
    transform = make(Flatten, table="t", columns={"x": {"type": "int"}})
    assert await turns_beside(transform.apply(Batch(messages))) >= 4
