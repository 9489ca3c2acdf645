"""Whatever arrives: each chain is stored as it was sent or is one dead letter, and its neighbours are always stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from kit.chains import chain_fields, context_fields, option_fields
from kit.feed import OPTION_COLUMNS
from kit.fixtures_postgres import Database
from kit.fuzzed import ANYTHING, FLOATS, INTEGERS, MOMENTS, Fuzzed, damaged, for_a_while, symbol_of, way_into
from stockifyd.testing import make
from stockifyd_optionchain.flatten_chain import FlattenChain

pytestmark = pytest.mark.hypothesis
TABLES = {"snapshots": {"into": "market_snapshots"}, "options": {"into": "option_contracts"}}
NOW = datetime.now(UTC).replace(hour=5, minute=0, second=0, microsecond=0)
REFUSED_BY_THE_DATABASE = 4 * 10**18
"""A volume from here on passes every check of ours, and none of the table's."""
CHECK = f"ALTER TABLE option_contracts ADD CHECK (volume < {REFUSED_BY_THE_DATABASE})"
KEY = ("timestamp", "symbol_id", "expiry", "strike_price", "option_type")
COMPUTED = ("price_change", "oi_change")
"""Where the sender leaves these out, they are computed."""
WHOLE = ("bid_qty", "ask_qty", "volume", "prev_volume", "oi", "prev_oi", "oi_change", "lot_size")
OF_CONTEXT = ("exchange", "segment", "spot_price", "spot_change", "lot_size", "tick_size")
SNAPSHOT_KEY = ("timestamp", "symbol_id", "expiry")

Stream = list[tuple[bytes, bool]]
"""Messages, and whether each is a good one."""
Row = tuple[Any, ...]
Rows = dict[Row, Row]
"""By the columns of the key, the others."""


def good(index: int) -> bytes:
    """A chain that nothing is wrong with."""
    return json.dumps(chain_fields(timestamp=NOW.isoformat(), symbol_id=1_000_000 + index)).encode()


@st.composite
def messages(draw: st.DrawFn, index: int) -> bytes:
    """Bytes, or a chain with some of its values at an edge, or of another type, and perhaps damaged on its way."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=64))
    options = [option_fields(strike=100.0 + n, option_type=side) for n in range(draw(st.integers(0, 3))) for side in ("CE", "PE")]
    chain = chain_fields(timestamp=draw(moments()), symbol_id=draw(symbols(index)), options=options, context=context_fields())
    parts = [chain["context"], *options, *options, *options]
    for _ in range(draw(st.integers(0, 2))):
        part = draw(st.sampled_from(parts))
        part[draw(st.sampled_from(sorted(part)))] = draw(edges())
    if draw(st.integers(0, 9)) == 0:
        chain[draw(st.sampled_from(sorted(chain)))] = draw(ANYTHING)
    return draw(damaged(json.dumps(chain, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")))


def edges() -> st.SearchStrategy[Any]:
    """More often than not a number that a column may hold."""
    return st.sampled_from(INTEGERS) | st.sampled_from(FLOATS) | st.floats(0) | st.integers(0, 2**63 - 1) | ANYTHING


def moments() -> st.SearchStrategy[str]:
    """Mostly of these days: each day more is a partition more."""
    near = st.integers(-(2 * 86_400 * 10**6), 86_400 * 10**6).map(lambda us: (NOW + timedelta(microseconds=us)).isoformat())
    today = st.sampled_from([f"{NOW:%Y-%m-%dT%H:%M:%S}+05:30", f"{NOW:%Y-%m-%d}T23:59:59.999999Z"])
    return st.one_of(near, near, near, today, st.sampled_from(MOMENTS))


def symbols(index: int) -> st.SearchStrategy[Any]:
    """Mostly its own: rows tell their message."""
    own = 1000 + 97 * index
    return st.sampled_from([own, own, own, own, float(own), 2**31 - 1 - index, 2**31 + index, -own, str(own), 2**63 + index])


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Every odd message has good neighbours."""
    odd = {symbol_of(raw): (raw, False) for raw in (draw(messages(index)) for index in range(draw(st.integers(1, 6))))}
    return [(good(0), True), *(item for n, one in enumerate(odd.values(), 1) for item in (one, (good(n), True)))]


@pytest.fixture
def fuzzed(database: Database, encoder: str) -> Iterator[Fuzzed]:
    """`flatten_chain` and the sink, into a table that refuses what the transform does not."""
    with way_into(database, TABLES, make(FlattenChain), sql=CHECK, retention_days=3) as way:
        yield way


def test_each_is_stored_or_a_dead_letter(fuzzed: Fuzzed) -> None:
    """Rows are those of the messages that are no dead letters, value for value; a good one is never a dead letter."""

    def check(stream: Stream) -> None:
        base = fuzzed.store(raw for raw, _ in stream)
        letters = fuzzed.letters()
        dead = [offset - base for offset, _ in letters]
        assert [] == [index for index in dead if stream[index][1]], "a good message is a dead letter"
        assert [(base + index, stream[index][0]) for index in dead] == letters
        alive = [json.loads(raw.decode()) for index, (raw, _) in enumerate(stream) if index not in dead]
        options = by_key(fuzzed.rows("option_contracts", (*KEY, *OPTION_COLUMNS[3:])), len(KEY))
        assert with_computed(option_rows(alive), options) == options
        snapshots = by_key(fuzzed.rows("market_snapshots", (*SNAPSHOT_KEY, *OF_CONTEXT)), len(SNAPSHOT_KEY))
        assert snapshot_rows(alive) == snapshots

    for_a_while(streams(), check)


def test_the_database_refuses_what_the_transform_takes(fuzzed: Fuzzed) -> None:
    """The constraint that the fuzz counts on: the one message goes, both its neighbours stay."""
    odd = option_fields(volume=REFUSED_BY_THE_DATABASE)
    refused = json.dumps(chain_fields(timestamp=NOW.isoformat(), symbol_id=7, options=[odd])).encode()
    base = fuzzed.store([good(0), refused, good(1)])
    assert [(base + 1, refused)] == fuzzed.letters()
    assert {(1_000_000,), (1_000_001,)} == set(fuzzed.rows("option_contracts", ["symbol_id"]))


def by_key(rows: Iterable[Row], length: int) -> Rows:
    return {row[:length]: row[length:] for row in rows}


def option_rows(chains: Iterable[Mapping[str, Any]]) -> Rows:
    """What the options of these messages are, read by nothing of ours."""
    return {
        (*head(chain), *_expiry(option), *_values(option, ("strike", "option_type"))): _values(option, OPTION_COLUMNS[3:])
        for chain in chains
        for option in chain["options"]
    }


def snapshot_rows(chains: Iterable[Mapping[str, Any]]) -> Rows:
    """One for each expiry, with what the context says."""
    return {
        (*head(chain), *_expiry(option)): _values(chain.get("context") or {}, OF_CONTEXT)
        for chain in chains
        for option in chain["options"]
    }


def _expiry(option: Mapping[str, Any]) -> tuple[date]:
    return (date.fromisoformat(option["expiry"]),)


def _values(fields: Mapping[str, Any], names: Iterable[str]) -> Row:
    """Fields in the columns' types: JSON knows one kind of number, and a price of 2^53 + 1 is the nearest double."""
    values = [(name, fields.get(name)) for name in names]
    return tuple(float(value) if isinstance(value, int) and name not in WHOLE else value for name, value in values)


def head(chain: Mapping[str, Any]) -> tuple[datetime, int]:
    return datetime.fromisoformat(chain["timestamp"]), chain["symbol_id"]


def with_computed(expected: Rows, found: Rows) -> Rows:
    """Where a change was left out, whatever was computed of it."""
    names = OPTION_COLUMNS[3:]
    return {
        key: tuple(
            found[key][n] if value is None and names[n] in COMPUTED and key in found else value for n, value in enumerate(row)
        )
        for key, row in expected.items()
    }
