"""What `flatten_chain` rejects, with which reason; and that it never does worse than reject."""
# what is expected stands first in an assert

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.chains import batch_of, chain_fields, chain_json, context_fields, option_fields
from stockifyd.api import Batch
from stockifyd.testing import make
from stockifyd_optionchain import FlattenChain


def flattened(*raws: bytes) -> Batch:
    after = asyncio.run(make(FlattenChain).apply(batch_of(raws)))
    assert isinstance(after, Batch)
    return after


def reason(raw: bytes) -> str:
    after = flattened(raw)
    assert 0 == after.row_count
    return after.rejected[0].reason


def with_option(**changes: Any) -> bytes:
    return chain_json(options=[option_fields(strike=1.0), option_fields(**changes)])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "input data was truncated"),
        (b"?", "JSON is malformed: invalid character (byte 0)"),
        (chain_json()[:-1], "input data was truncated"),
        (chain_json() + b"?", f"JSON is malformed: trailing characters (byte {len(chain_json() + b'?')})"),
        (b"\xff\xfe", "the message is not UTF-8"),
        (chain_json(symbol="N").replace(b'"N"', b'"\xff"'), "the message is not UTF-8"),
        (chain_json(symbol="N", new="N").replace(b'"new": "N"', b'"new": "\xff"'), "the message is not UTF-8"),
        (chain_json().replace(b'"ltp"', b'"lt\xff"'), "the message is not UTF-8"),
        (b'{"new":' + b"[" * 100_000, "the message is nested too deeply"),
        (b"null", "expected object, got null"),
        (b"[]", "expected object, got array"),
        (b"{}", "object missing required field timestamp"),
        (chain_json(symbol=...), "object missing required field symbol"),
        (chain_json(symbol_id=None), "symbol_id: expected int, got null"),
        (chain_json(symbol_id=2**31), "symbol_id: expected int <= 2147483647"),
        (chain_json(timestamp="2026-11-23T09:15:00"), "timestamp: expected datetime with a timezone component"),
        (chain_json(timestamp=1790000000), "timestamp: expected datetime, got int"),
        (chain_json(timestamp="0001-01-01T00:00:00+05:30"), "timestamp: beyond the years 1 to 9999 in UTC or India's time"),
        (chain_json(timestamp="9999-12-31T23:00:00Z"), "timestamp: beyond the years 1 to 9999 in UTC or India's time"),
        (chain_json(options=[]), "options: expected array of length >= 1"),
        (chain_json(options=None), "options: expected array, got null"),
        (chain_json(context=context_fields(pcr_ratio="1")), "context.pcr_ratio: expected float | null, got str"),
        (chain_json(context=context_fields(lot_size=-1)), "context.lot_size: expected int >= 0"),
        (
            chain_json(context=context_fields(exchange="N\0")),
            "context.exchange: a character that no table can hold (NUL or a lone surrogate)",
        ),
        (chain_json(options=[{"strike": 1.0, "option_type": "CE"}]), "options[0]: object missing required field expiry"),
        (with_option(expiry="24-11-2026"), "options[1].expiry: invalid RFC3339 encoded date"),
        (with_option(option_type="XX"), "options[1].option_type: expected 'CE' or 'PE'"),
        (with_option(strike=0), "options[1].strike: expected float > 0.0"),
        (with_option(strike="26000"), "options[1].strike: expected float, got str"),
        (with_option(ltp=-0.05), "options[1].ltp: expected float >= 0.0"),
        (with_option(oi=-1), "options[1].oi: expected int >= 0"),
        (with_option(oi=2**63), "options[1].oi: expected int <= 9223372036854775807"),
        (with_option(oi=1.5), "options[1].oi: expected int | null, got float"),
        (with_option(oi=12.0), "options[1].oi: expected int | null, got float"),
        (with_option(volume=True), "options[1].volume: expected int | null, got bool"),
        (b'{"symbol_id": NaN}', "JSON is malformed: invalid character (byte 14)"),
        (with_option(iv=0.5).replace(b'"iv": 0.5', b'"iv": 1e999'), "options[1].iv: number out of range"),
        (with_option(strike=1.0), "options[1]: the same expiry, strike and option_type as an option before it"),
        (
            chain_json(options=[option_fields(), option_fields(expiry="2026-12-01"), option_fields()]),
            "options[2]: the same expiry, strike and option_type as an option before it",
        ),
        (
            chain_json(context={}, options=[option_fields(oi=2**62), option_fields(strike=1.0, oi=2**62)]),
            "options: the open interest of CE adds up to more than a bigint holds",
        ),
    ],
)
def test_reason(raw: bytes, expected: str) -> None:
    """The reason names the path and what was expected."""
    assert expected == reason(raw)


def test_reason_holds_no_data() -> None:
    """A reason never quotes what the message held."""
    secret = "s3cret"
    raws = [with_option(option_type=secret), chain_json(symbol_id=secret), chain_json(timestamp=secret), with_option(oi=secret)]
    assert [] == [why for why in map(reason, raws) if secret in why]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CLASSICS = [2**63, -(2**63), 2**31, 10**40, 1e308, -0.0, "\0", "\ud800", "PE", "2026-11-24", "9999-12-31T23:59:59Z"]
ODD = JSON | st.sampled_from(CLASSICS)


@given(st.binary(max_size=200))
def test_any_bytes_are_rejected(raw: bytes) -> None:
    """Bytes that are no chain are one dead letter each, and never another exception."""
    assert 1 == len(flattened(raw).rejected)


@settings(max_examples=500)
@given(
    st.dictionaries(st.sampled_from([*chain_fields()]), ODD, max_size=2),
    st.dictionaries(st.sampled_from([*context_fields()]), ODD, max_size=2),
    st.lists(st.dictionaries(st.sampled_from([*option_fields()]), ODD, max_size=2), min_size=1, max_size=3),
)
def test_json_near_the_schema(top: dict[str, Any], context: dict[str, Any], options: list[dict[str, Any]]) -> None:
    """A chain with fields put wrong is stored whole or rejected whole, and its neighbour is always stored."""
    odd = chain_fields(context=context_fields(**context), options=[option_fields(**o) for o in options]) | top
    after = flattened(json.dumps(odd).encode(), chain_json())
    assert 2 == len(after.messages) + len(after.rejected)
    rows = after.tables["options"]
    assert len(after.messages) == len(rows.ends) == len(after.tables["snapshots"].ends)
    assert 2 == len(rows.rows) - rows.start_of(len(after.messages) - 1)


@settings(max_examples=300)
@given(st.data())
def test_mangled_bytes(data: st.DataObject) -> None:
    """A byte changed anywhere gives rows or a dead letter, and never another exception."""
    raw = bytearray(chain_json())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    after = flattened(bytes(raw))
    assert 1 == len(after.messages) + len(after.rejected)
    assert all(re.fullmatch(r"[^\n]+", letter.reason) for letter in after.rejected)
