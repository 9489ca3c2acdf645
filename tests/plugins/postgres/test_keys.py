"""Keys of rows: which row is asked for what, and which messages ask for what cannot be."""
# what is expected stands first in an assert

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Row, Table, configure
from stockifyd_postgres.inquiry import inquiry
from stockifyd_postgres.keys import Keys, keys_of
from stockifyd_postgres.lookup import Lookup
from stockifyd_postgres.lookup_options import LookupOptions

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BASE = {"table": "t", "from": "f", "match": {"a": "a", "b": "b"}, "columns": ["c"]}
KINDS = ("integer", "text")


def options(**more: Any) -> LookupOptions:
    made = configure(Lookup, {**BASE, **more})
    assert isinstance(made, LookupOptions)
    return made


def table(*messages: list[Row]) -> Table:
    ends = [sum(map(len, messages[: n + 1])) for n in range(len(messages))]
    return Table(("a", "at", "b"), [row for rows in messages for row in rows], ends)


def test_a_key_is_the_values_of_match() -> None:
    """In the order of `match`; a row with a null has none; each key stands once in what is asked."""
    keys = keys_of(table([(1, None, "x"), (2, None, "y")], [(1, None, "x"), (None, None, "x")]), options(), KINDS)
    assert [(1, "x"), (2, "y"), (1, "x"), None] == keys.of_rows
    assert [(1, "x"), (2, "y")] == keys.distinct()


@pytest.mark.parametrize("bad", ["1", 1.5, 2**31, [1], {"a": 1}])
def test_a_value_that_the_column_cannot_have(bad: object) -> None:
    """Its message is refused, with the column and the type; the others have their keys."""
    keys = keys_of(table([(1, None, "x")], [(bad, None, "x"), (2, None, "x")]), options(), KINDS)
    assert [(1, "x"), None, (2, "x")] == keys.of_rows
    assert [1] == list(keys.refused)
    assert keys.refused[1].startswith("column 'a', looked up as integer: ")


def test_a_span_of_time() -> None:
    """Later than the first and not later than the last: the row's time less `ago_secs`, and `within_secs` before."""
    as_of = {"column": "at", "time": "at", "ago_secs": 300, "within_secs": 600}
    keys = keys_of(table([(1, NOON, "x"), (1, None, "x")]), options(as_of=as_of), KINDS)
    assert [(1, "x", NOON - timedelta(seconds=900), NOON - timedelta(seconds=300)), None] == keys.of_rows


@pytest.mark.parametrize(
    ("time", "before"),
    [
        (datetime(2026, 11, 23, 4, 0, tzinfo=UTC), datetime(2026, 11, 22, 18, 30, tzinfo=UTC)),
        (datetime(2026, 11, 22, 18, 30, tzinfo=UTC), datetime(2026, 11, 22, 18, 30, tzinfo=UTC)),
        (datetime(2026, 11, 22, 18, 29, 59, tzinfo=UTC), datetime(2026, 11, 21, 18, 30, tzinfo=UTC)),
    ],
)
def test_before_the_day_began(time: datetime, before: datetime) -> None:
    """By the day of a zone: in India it begins at 18:30 UTC."""
    as_of = {"column": "at", "time": "at", "before_day_in": "Asia/Kolkata", "within_secs": 86400}
    [key] = keys_of(table([(1, time, "x")]), options(as_of=as_of), KINDS).of_rows
    assert key is not None
    assert before - timedelta(microseconds=1) == key[-1]


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        (datetime(2026, 11, 23, 12), "a time without a zone"),  # noqa: DTZ001
        ("noon", "a str, not a time"),
        (date(2026, 11, 23), "a date, not a time"),
        (datetime.min.replace(tzinfo=UTC), "a time beyond the calendar"),
    ],
)
def test_a_time_that_is_none(time: object, reason: str) -> None:
    """Its message is refused."""
    as_of = {"column": "at", "time": "at", "within_secs": 600}
    keys = keys_of(table([(1, NOON, "x")], [(1, time, "x")]), options(as_of=as_of), KINDS)
    assert {1: f"column 'at', looked up as of: {reason}"} == keys.refused


values = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.lists(st.integers(), max_size=1))


@given(
    st.lists(st.lists(st.tuples(values, st.one_of(values, st.datetimes(timezones=st.just(UTC))), values), max_size=4), max_size=6)
)
def test_no_row_escapes(messages: list[list[Row]]) -> None:
    """Whatever rows hold: a key each, or None; a message with a row that has none for another reason than null is refused."""
    as_of = {"column": "at", "time": "at", "within_secs": 600}
    made = table(*messages)
    keys = keys_of(made, options(as_of=as_of), KINDS)
    assert len(made.rows) == len(keys.of_rows)
    for row, key in enumerate(keys.of_rows):
        if key is None and None not in made.rows[row]:
            assert made.message_of(row) in keys.refused


@given(
    st.lists(st.lists(st.tuples(st.sampled_from([1, 2, None, "x"]), st.none(), values), max_size=4), max_size=6),
    st.integers(1, 5),
)
def test_a_part_at_a_time(messages: list[list[Row]], size: int) -> None:
    """Keys of some rows after others are those of all rows at once."""
    made, parts = table(*messages), Keys([])
    for start in range(0, len(made.rows), size):
        parts.add(keys_of(made, options(), KINDS, range(start, min(start + size, len(made.rows)))))
    assert keys_of(made, options(), KINDS) == parts


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"from": "a.b.c"}, "from: 'a.b.c' is not a table's name"),
        ({"into": "t"}, "into: 't' is the table itself"),
        ({"columns": ["c", "c"]}, "columns: 'c' stands there twice"),
        ({"match": {"a": "x", "b": "x"}}, "match: 'x' stands there twice"),
        ({"database": "replicas"}, "database: write `replica` or `primary`, or a URL"),
        ({"primary": "replica"}, "primary: write `primary`, or a URL"),
        ({"max_lag_ms": 100}, "Expected `int` >= 2000"),
        ({"as_of": {"column": "at", "time": "at"}}, "missing required field `within_secs`"),
        ({"as_of": {"column": "a", "time": "at", "within_secs": 1}}, "match: 'a' is the time of `as_of`"),
        ({"as_of": {"column": "at", "time": "at", "within_secs": 1, "before_day_in": "India"}}, "'India' is not a time zone"),
        (
            {"as_of": {"column": "at", "time": "at", "within_secs": 1, "before_day_in": "Asia/Kolkata", "ago_secs": 1}},
            "ago_secs: not together with",
        ),
    ],
)
def test_options_that_contradict_themselves(change: dict[str, Any], reason: str) -> None:
    """Found without a database, with the value and what is allowed."""
    with pytest.raises(ValueError, match=reason):
        options(**change)


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ({}, "table: no table 't' arrives here"),
        ({"s": ()}, r"table: no table 't' arrives here \(did you mean|table: no table 't' arrives here"),
        ({"t": ("a", "x")}, "match: table 't' has no column 'b'"),
        ({"t": ("a", "b", "c")}, "columns: there is a column 'c' already; set `prefix`"),
    ],
)
def test_tables_that_do_not_arrive(before: dict[str, tuple[str, ...]], reason: str) -> None:
    """`validate` tells."""
    from stockifyd.testing import make

    with pytest.raises(ValueError, match=reason):
        make(Lookup, **BASE).tables(before)


def test_tables_that_leave() -> None:
    """With the columns found; or beside the old ones, a new table."""
    from stockifyd.testing import make

    before = {"t": ("a", "at", "b"), "u": ()}
    assert {**before, "t": ("a", "at", "b", "c")} == make(Lookup, **BASE).tables(before)
    assert {**before, "n": ("a", "b", "p_c")} == make(Lookup, **BASE, into="n", prefix="p_").tables(before)


def test_names_are_quoted() -> None:
    """A table and columns with capitals; the types are the catalogue's."""
    made = inquiry(
        options(**{"from": "My.Table", "match": {"a": "Key"}, "columns": ["Order"]}),
        {"Key": "bigint", "Order": "text"},
        [{"Key"}],
    )
    assert 'JOIN "My"."Table" AS t ON t."Key" = k.k1' in made.sql
    assert ('t."Order"' in made.sql, "$1::bigint[]" in made.sql) == (True, True)
