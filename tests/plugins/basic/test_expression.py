"""What a condition may be, what is said of one that is none, and what it answers."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd_basic.expression import CHUNK_ROWS, Condition, check
from stockifyd_basic.refusal import WrongExpressionError

COLUMNS = ("strike", "kind", "iv", "group")


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("strike >", "column 9: something is missing at the end"),
        ("(strike) >", "column 11: something is missing at the end"),
        ("strike > > 1", "column 10: '>' cannot stand here"),
        ("strike > 1 and iv = 1 and and kind", "column 27: 'and' cannot stand here; a column with the name of a keyword stands"),
        ("strike > 1\n  AND\n  oder iv", "line 3, column 8: 'iv' cannot stand here"),
        ("group > 1", "column 1: 'group' cannot stand here; a column with the name of a keyword stands in double quotes"),
        ("kind == 'CE' && iv", "column 15: '&' cannot stand here"),
        ("(strike", "column 8: 1 ')' missing at the end"),
        ("strike)", "column 7: ')' without a '(' before it"),
        ("1) OR (1", "column 2: ')' without a '('"),
        ("1) LIMIT (1", "column 2: ')' without a '('"),
        ("kind = 'CE", 'column 8: "\'CE" is not closed, or is no word'),
        ("kind = 'it''s' AND kind = '", 'column 27: "\'" is not closed, or is no word'),
        ("", "it is empty"),
        (" -- nothing", "it is empty"),
        ("kind = 'a\0b'", "column 10: a character that no text may have (NUL)"),
        ("lenght(kind) > 1", "column 1: no function lenght(); did you mean length()?"),
        ("strike > random()", "column 10: no function random(); there are abs, "),
        ("CURRENT_TIMESTAMP > 'x'", "column 1: no function CURRENT_TIMESTAMP()"),
        ("date('now') > 'x'", "column 1: no function date()"),
        ("load_extension('x')", "column 1: no function load_extension()"),
        ("lower(kind, 1) = 'x'", "column 1: wrong number of arguments to lower()"),
        ("max(strike) > 1", "column 1: max() of one argument is over many rows"),
        ("count(*) > 1", "column 1: no function count()"),
        ("strike > (SELECT 1)", "only conditions over the columns of one row: no subqueries"),
        ("strike IN (SELECT 1)", "only conditions over the columns of one row: no subqueries"),
        ("strike IN t", "only conditions over the columns of one row: no subqueries"),
        ("strike = ?", "it has a parameter"),
        ("strike = :x", "it has a parameter"),
        ("strike; DROP TABLE t", "column 7: ';' cannot stand here"),
        ("strike ORDER BY 1", "column 8: 'ORDER' cannot stand here"),
    ],
)
def test_what_is_no_condition(text: str, fact: str) -> None:
    """The place, and what is wrong there; with columns known, and without."""
    for refuse in (lambda: Condition(text, COLUMNS), lambda: check(text)):
        with pytest.raises(WrongExpressionError) as found:
            refuse()
        assert str(found.value).startswith(fact)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("iv > 1 AND strik > 2", "column 12: no column 'strik'; did you mean 'strike'?"),
        ("iv > 'strik' AND strik > 2", "column 18: no column 'strik'; did you mean 'strike'?"),
        ("rowid > 1", "column 1: no column 'rowid'; there are 'group', 'iv', 'kind', 'strike'"),
        ('kind = "CE"', "column 8: no column \"CE\"; a text stands in single quotes: 'CE'"),
    ],
)
def test_columns_that_are_not_there(text: str, fact: str) -> None:
    """Their place and the likeliest one; where no columns are known it is a condition all the same."""
    with pytest.raises(WrongExpressionError) as found:
        Condition(text, COLUMNS)
    assert fact == str(found.value)
    check(text)


def test_columns_that_sqlite_cannot_tell_apart() -> None:
    """Names that differ in case alone."""
    with pytest.raises(WrongExpressionError, match="duplicate column name"):
        Condition("a > 1", ("a", "A"))


IST = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x = 25000", 25000.0),
        ("x = '2026-11-24'", date(2026, 11, 24)),
        ("x >= '2026-11-24T03:45' AND x < '2026-11-24T03:46'", datetime(2026, 11, 24, 9, 15, 30, tzinfo=IST)),
        ("x > '2026-11-24T03:45:00+00:00'", datetime(2026, 11, 24, 3, 45, 0, 1, tzinfo=UTC)),
        ("substr(x, 12, 5) = '09:15'", datetime(2026, 11, 24, 9, 15)),  # noqa: DTZ001  a time of no zone may come too
        ("x = TRUE", True),
        ("x > 1.4", Decimal("1.5")),
        ("x ->> '$.a' = 3", {"a": 3}),
        ("json_array_length(x) = 2", [1, 2]),
        ("x IS NULL", None),
        ("x IS NULL", float("nan")),
        ("x = X'00ff'", b"\x00\xff"),
        ("x LIKE 'ni%' AND x NOT GLOB 'ni*'", "NIFTY"),
        ("x COLLATE nocase = 'nifty'", "NIFTY"),
        ("lower(x) || '!' = 'nifty!'", "NIFTY"),
        ("CASE WHEN x > 1 THEN 1 END", 2),
        ("x", 5),
    ],
)
def test_values(text: str, value: Any) -> None:
    """What each kind of value is in a condition: times and dates are ISO 8601, in UTC; lists and objects JSON."""
    assert ([0], {}) == Condition(text, ("x",)).judge([(value,)])


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-5, 5) | st.floats(-5, 5),
            st.none() | st.sampled_from(["CE", "PE", ""]),
            st.integers(-5, 5),
        ),
        max_size=3 * CHUNK_ROWS,
    )
)
def test_answers_as_python_would(rows: list[tuple[Any, ...]]) -> None:
    """Of any number of rows, exactly those of which it is true, in order."""
    condition = Condition("strike > iv AND (kind = 'CE' OR kind IS NULL)", ("strike", "kind", "iv"))
    expected = [i for i, (s, k, iv) in enumerate(rows) if s is not None and s > iv and k in ("CE", None)]
    assert (expected, {}) == condition.judge(rows)
    condition.close()


@given(st.text())
def test_any_text_is_a_condition_or_is_refused(text: str) -> None:
    """Nothing but a refusal comes out, and what is taken for a condition can be asked."""
    try:
        condition = Condition(text, COLUMNS)
    except WrongExpressionError:
        return
    condition.judge([(1, "CE", None, 2.5)] * 2)
    condition.close()


@given(st.from_regex(re.compile(r"[ strike<>=()'\"ANDorkind1;*/\-]*"), fullmatch=True))
def test_texts_that_look_like_conditions(text: str) -> None:
    """So it is of texts made of the right letters."""
    test_any_text_is_a_condition_or_is_refused.hypothesis.inner_test(text)  # type: ignore[attr-defined]


@given(st.lists(st.tuples(st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.decimals(), st.datetimes()))))
def test_any_value_can_be_asked(rows: list[tuple[Any, ...]]) -> None:
    """Each row is answered or refused, whatever it holds."""
    condition = Condition("x IS NOT NULL OR 1", ("x",))
    kept, refused = condition.judge(rows)
    assert list(range(len(rows))) == sorted([*kept, *refused])
    condition.close()


def test_rows_that_cannot_be_asked_are_refused_alone() -> None:
    """In the middle of many: the reasons say nothing of the values."""
    rows = [(1,)] * (2 * CHUNK_ROWS)
    rows[3], rows[150], rows[151] = (2**64,), ("\ud800",), ("[",)
    kept, refused = Condition("json_type(x) = 'integer'", ("x",)).judge(rows)
    assert {3: "a number beyond 8 bytes", 150: "a lone surrogate in a text", 151: "malformed JSON"} == refused
    assert len(rows) - 3 == len(kept)
