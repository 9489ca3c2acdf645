"""What `filter` lets through: rows of a table, and whole messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kit.chains import batch_of
from stockifyd.api import Batch, Drift, Table, configure
from stockifyd.testing import TransformContract, make, make_batch
from stockifyd_basic import Decode, Filter


def quotes() -> Batch:
    """Three messages with two, no and three rows."""
    rows = [("CE", 100.0, 5), ("PE", 101.0, None), ("CE", 102.0, 7), ("PE", 103.0, 8), ("CE", 104.0, None)]
    return make_batch(3).with_table("quotes", Table(("kind", "strike", "iv"), rows, [2, 2, 5]))


class TestContract(TransformContract[Filter]):
    """Of rows: it keeps the contract of transforms."""

    transform = Filter

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"table": "quotes", "where": "kind = 'CE' AND iv > 5"}

    def batch(self) -> Batch:
        return quotes()


class TestContractOfMessages(TransformContract[Filter]):
    """Of whole messages: it keeps the contract, but that what does not go on is gone."""

    transform = Filter

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"where": "symbol LIKE 'N%' OR oi > 7", "fields": {"symbol": "symbol", "oi": "data.0.oi"}}

    def batch(self) -> Batch:
        return batch_of([b'{"symbol": "NIFTY"}', b'{"symbol": "X", "data": [{"oi": 8}]}', b"bad", b'{"symbol": "N", "data": 3}'])

    def test_every_message_is_accounted_for(self, tmp_path: Path) -> None:
        """It goes on, is rejected, or the condition is not true of it; no message comes from elsewhere."""
        batch = self.batch()
        after = make(Filter, **self.options(tmp_path)).apply(batch)
        assert isinstance(after, Batch)
        assert [[0, 1], [2, 3]] == [
            [m.position.offset for m in after.messages],
            [letter.message.position.offset for letter in after.rejected],
        ]


def filtered(batch: Batch, **options: Any) -> Batch:
    after = make(Filter, **options).apply(batch)
    assert isinstance(after, Batch)
    return after


@pytest.mark.parametrize(
    ("where", "strikes", "ends"),
    [
        ("kind = 'CE'", [100.0, 102.0, 104.0], [1, 1, 3]),
        ("iv > 5", [102.0, 103.0], [0, 0, 2]),
        ("NOT iv > 5", [100.0], [1, 1, 1]),
        ("iv IS NULL", [101.0, 104.0], [1, 1, 2]),
        ("strike BETWEEN 101 AND 103 AND kind IN ('PE')", [101.0, 103.0], [1, 1, 2]),
        ("1", [100.0, 101.0, 102.0, 103.0, 104.0], [2, 2, 5]),
        ("0", [], [0, 0, 0]),
    ],
)
def test_rows(where: str, strikes: list[float], ends: list[int]) -> None:
    """Rows of which it is true go on, with their messages; null is neither true nor false."""
    after = filtered(quotes(), table="quotes", where=where)
    table = after.tables["quotes"]
    assert (strikes, ends, 3) == ([row[1] for row in table.rows], table.ends, len(after.messages))


def test_other_tables_stay() -> None:
    """Only the rows of its own table are asked."""
    after = filtered(quotes(), table="quotes", where="0")
    assert 3 == len(after.tables["options"].rows)


def test_a_row_that_cannot_be_asked() -> None:
    """Its message is rejected whole, without the value; neighbours go on."""
    batch = quotes()
    table = batch.tables["quotes"]
    rows = [*table.rows[:3], ("PE", 2**70, 1), *table.rows[4:]]
    after = filtered(batch.with_table("quotes", Table(table.columns, rows, table.ends)), table="quotes", where="strike > 1")
    assert ([0, 1], [100.0, 101.0]) == (
        [m.position.offset for m in after.messages],
        [row[1] for row in after.tables["quotes"].rows],
    )
    assert ["where: a number beyond 8 bytes"] == [letter.reason for letter in after.rejected]


MESSAGES = [{"symbol": "NIFTY", "data": {"spot": 24000.5}}, {"symbol": "SENSEX", "data": {"spot": 80000}}, {"symbol": "OTHER"}]


@pytest.mark.parametrize(
    ("where", "offsets"),
    [
        ("symbol = 'NIFTY'", [0]),
        ("spot > 24000", [0, 1]),
        ("spot IS NULL", [2]),
        ('"offset" >= 1', [1, 2]),
        ("data ->> '$.spot' > 50000", [1]),
        ("key = '2' AND topic LIKE 'CON%' AND partition = 0 AND timestamp_ms > 0", [2]),
    ],
)
def test_messages(where: str, offsets: list[int]) -> None:
    """Whole messages go on, with what is in their tables; fields that are missing are null."""
    batch = batch_of([json.dumps(one).encode() for one in MESSAGES])
    tabled = batch.with_table("t", Table(("n",), [(0,), (1,), (2,)], [1, 2, 3]))
    after = filtered(tabled, where=where, fields={"symbol": "symbol", "spot": "data.spot", "data": "data"})
    assert offsets == [m.position.offset for m in after.messages] == [row[0] for row in after.tables["t"].rows]
    assert batch.advance == after.advance


def test_values_of_a_transform_before() -> None:
    """What `decode` made, also a plugin's Struct, is asked as plain values."""

    class Quote(msgspec.Struct):
        symbol: str

    batch = batch_of([b'{"symbol": "A"}', b'{"symbol": "B"}'])
    decoded = make(Decode).apply(batch)
    assert isinstance(decoded, Batch)
    for given in (batch, decoded, batch.map(lambda m: Quote("A" if m.position.offset == 0 else "B"))):
        after = filtered(given, where="symbol = 'B'", fields={"symbol": "symbol"})
        assert [1] == [m.position.offset for m in after.messages]


def test_a_message_that_cannot_be_read() -> None:
    """It becomes a dead letter with the reason of `decode` or of the path; the others are asked."""
    after = filtered(batch_of([b"bad", b'{"a": 1}', b'{"a": {"b": 1}}']), where="b = 1", fields={"b": "a.b"})
    assert [2] == [m.position.offset for m in after.messages]
    reasons = [letter.reason for letter in after.rejected]
    assert ["JSON is malformed: invalid character (byte 0)", "a: expected an object, got int"] == reasons


def test_an_unknown_column() -> None:
    """It is found by `validate` with its place and a suggestion, and it halts at the first batch."""
    transform = make(Filter, table="quotes", where="kind = 'CE' AND strke > 1")
    fact = "where: column 17: no column 'strke'; did you mean 'strike'?"
    with pytest.raises(ValueError) as found:
        transform.tables({"quotes": ("kind", "strike", "iv")})
    assert fact == str(found.value)
    with pytest.raises(Drift) as halted:
        transform.apply(quotes())
    assert fact == halted.value.reason


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ({"table": "t", "where": "a >"}, "where: column 4: something is missing at the end"),
        ({"where": "symbl = 'N'", "fields": {"symbol": "s"}}, "where: column 1: no column 'symbl'; did you mean 'symbol'?"),
        ({"table": "t", "where": "1", "fields": {"a": "b"}}, "fields: not together with `table`, whose columns have names"),
        ({"where": "1", "fields": {"key": "b"}}, "fields: 'key' is there already, of the message itself"),
        ({"where": "1", "fields": {"a": "b..c"}}, "'b..c' is no path: names with dots between"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], fact: str) -> None:
    """They are refused, and the condition with its place."""
    with pytest.raises(msgspec.ValidationError) as found:
        configure(Filter, options)
    assert fact in str(found.value)
