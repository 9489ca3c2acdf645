"""What `select` makes of a table, and what it says of columns that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from stockifyd.api import Batch, Drift, Table, configure
from stockifyd.testing import TransformContract, make, make_batch
from stockifyd_basic import Select


def quotes() -> Batch:
    """Three messages, of which the second has no row."""
    rows = [(1, "CE", 100.0), (2, "PE", 101.0), (3, "CE", 102.0)]
    return make_batch(3).with_table("quotes", Table(("id", "kind", "strike"), rows, [2, 2, 3]))


class TestContract(TransformContract[Select]):
    """It keeps the contract of transforms."""

    transform = Select

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"table": "quotes", "columns": ["strike", "id"], "rename": {"id": "number"}}

    def batch(self) -> Batch:
        return quotes()


class TestContractBeside(TestContract):
    """So it does where it makes another table."""

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"table": "quotes", "drop": ["kind"], "into": "few"}


def selected(**options: Any) -> Table:
    after = make(Select, table="quotes", **options).apply(quotes())
    assert isinstance(after, Batch)
    return after.tables[options.get("into", "quotes")]


@pytest.mark.parametrize(
    ("options", "columns", "first"),
    [
        ({"columns": ["strike", "id"]}, ("strike", "id"), (100.0, 1)),
        ({"columns": ["kind"]}, ("kind",), ("CE",)),
        ({"drop": ["kind"]}, ("id", "strike"), (1, 100.0)),
        ({"rename": {"id": "number", "kind": "id"}}, ("number", "id", "strike"), (1, "CE", 100.0)),
        ({"columns": ["id", "kind"], "rename": {"id": "kind", "kind": "id"}}, ("kind", "id"), (1, "CE")),
        ({"columns": ["id"], "into": "ids"}, ("id",), (1,)),
        ({}, ("id", "kind", "strike"), (1, "CE", 100.0)),
    ],
)
def test_columns(options: dict[str, Any], columns: tuple[str, ...], first: tuple[Any, ...]) -> None:
    """Columns go on in the order given, under their new names; rows stay with their messages."""
    table = selected(**options)
    assert (columns, first, [2, 2, 3], 3) == (table.columns, table.rows[0], table.ends, len(table.rows))


def test_beside_leaves_the_old_table() -> None:
    """With `into` both tables go on."""
    after = make(Select, table="quotes", columns=["id"], into="ids").apply(quotes())
    assert isinstance(after, Batch)
    assert (("id", "kind", "strike"), ("id",)) == (after.tables["quotes"].columns, after.tables["ids"].columns)


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ({"columns": ["strke"]}, "columns: table 'quotes' has no column 'strke'; did you mean 'strike'?"),
        ({"drop": ["x"]}, "drop: table 'quotes' has no column 'x'; there are 'id', 'kind', 'strike'"),
        ({"rename": {"knd": "x"}}, "rename: table 'quotes' has no column 'knd'; did you mean 'kind'?"),
        ({"rename": {"id": "kind"}}, "rename: two columns are called 'kind' then"),
        ({"drop": ["id", "kind", "strike"]}, "drop: no column of table 'quotes' is left"),
    ],
)
def test_what_validate_finds(options: dict[str, Any], fact: str) -> None:
    """A column that no transform before makes is found without a message, and in a batch it halts."""
    transform = make(Select, table="quotes", **options)
    with pytest.raises(ValueError) as found:
        transform.tables({"quotes": ("id", "kind", "strike")})
    assert fact == str(found.value)
    with pytest.raises(Drift) as halted:
        transform.apply(quotes())
    assert fact == halted.value.reason


def test_an_unknown_table() -> None:
    """A table that is not there is suggested, by `validate` and by the first batch."""
    transform = make(Select, table="quote", columns=["id"])
    with pytest.raises(ValueError, match="no table 'quote' arrives here; did you mean 'quotes'"):
        transform.tables({"quotes": ("id",)})
    with pytest.raises(ValueError, match="no transform before makes one"):
        transform.tables({})
    with pytest.raises(Drift, match="no table 'quote' arrives here"):
        transform.apply(quotes())


def test_columns_that_nobody_knows_beforehand() -> None:
    """Of a table whose columns are not known `validate` says nothing."""
    assert {"quotes": ()} == make(Select, table="quotes", columns=["x"]).tables({"quotes": ()})


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ({"columns": ["a"], "drop": ["b"]}, "drop: not together with `columns`"),
        ({"columns": []}, "columns: a table needs one column at least"),
        ({"columns": ["a", "a"]}, "columns: 'a' stands there twice"),
        ({"columns": ["a"], "rename": {"b": "c"}}, "rename: 'b' does not go on"),
        ({"drop": ["b"], "rename": {"b": "c"}}, "rename: 'b' does not go on"),
    ],
)
def test_options_that_contradict(options: dict[str, Any], fact: str) -> None:
    """Options that cannot both be meant are refused."""
    with pytest.raises(msgspec.ValidationError, match=fact):
        configure(Select, {"table": "quotes", **options})
