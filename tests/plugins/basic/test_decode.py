"""What `decode` makes of bytes, with and without a schema."""
# what is expected stands first in an assert

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.chains import batch_of, chain_fields, chain_json
from stockifyd.api import Batch, configure
from stockifyd.testing import TransformContract, make
from stockifyd_basic import Decode


class TestContract(TransformContract[Decode]):
    """It keeps the contract of transforms."""

    transform = Decode

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {}

    def batch(self) -> Batch:
        return batch_of([b'{"a": 1}', b"bad", b"[1, 2]"])


class TestContractWithSchema(TestContract):
    """So it does with a schema."""

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"schema": "chain"}

    def batch(self) -> Batch:
        return batch_of([chain_json(), b"{}", chain_json(symbol_id=25)])


def decoded(raw: bytes, **options: Any) -> Batch:
    after = make(Decode, **options).apply(batch_of([raw]))
    assert isinstance(after, Batch)
    return after


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json(value: Any) -> None:
    """Any JSON becomes the value that the standard library makes of it; the bytes stay."""
    raw = json.dumps(value).encode()
    [message] = decoded(raw).messages
    assert (value, raw) == (message.value, message.raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "input data was truncated"),
        (b"NaN", "JSON is malformed: invalid character (byte 0)"),
        (b"1e999", "number out of range"),
        (b'"\xff"', "the message is not UTF-8"),
        (b"[" * 100_000, "the message is nested too deeply"),
    ],
)
def test_rejects(raw: bytes, expected: str) -> None:
    """What is no JSON is rejected with the reason."""
    assert expected == decoded(raw).rejected[0].reason


def test_schema_types_the_value() -> None:
    """With a schema the value is of the plugin's type."""
    [message] = decoded(chain_json(), schema="chain").messages
    assert ("Chain", 13) == (type(message.value).__name__, message.value.symbol_id)


def test_schema_names_the_path() -> None:
    """What does not fit the schema is rejected by path and kind, without the data."""
    bad = {**chain_fields()["options"][0], "option_type": "s3cret"}
    after = decoded(chain_json(options=[bad]), schema="chain")
    assert "options[0].option_type: none of the values allowed" == after.rejected[0].reason


def test_no_text_where_no_field_asks() -> None:
    """A message that is not UTF-8 is rejected, though no field of the schema asks for the part that is not."""
    after = decoded(chain_json(new="?").replace(b"?", b"\xff"), schema="chain")
    assert "the message is not UTF-8" == after.rejected[0].reason


def test_unknown_schema() -> None:
    """A schema that no plugin brings is a finding that names those there are."""
    with pytest.raises(msgspec.ValidationError, match=r"no plugin brings a message type 'chian'; known are .*chain"):
        configure(Decode, {"schema": "chian"})


def test_plain_text() -> None:
    """With `format: text` the value is the text itself; what is not UTF-8 is rejected."""
    after = make(Decode, format="text").apply(batch_of([b"a line", b"\xff"]))
    assert isinstance(after, Batch)
    assert (["a line"], ["the message is not UTF-8"]) == ([m.value for m in after.messages], [x.reason for x in after.rejected])
    with pytest.raises(msgspec.ValidationError, match="schema: only with `format: json`"):
        configure(Decode, {"schema": "chain", "format": "text"})
