"""The past of options, looked up where storage has put it: build-up against some minutes ago."""
# what is expected stands first in an assert

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from kit.fixtures_postgres import Database
from kit.postgres_sink import TOPIC, make_sink, migrate
from kit.sensors import make_lookup
from stockifyd.api import Batch, Message, Position, Retry, Span
from stockifyd.testing import flow, make
from stockifyd_optionchain import ClassifyBuildup, FlattenChain
from stockifyd_optionchain.simulator import Simulator

CHAINS, MINUTES = 20, 5
KEY = ("symbol_id", "expiry", "strike_price", "option_type")
HISTORY: dict[str, Any] = {
    "table": "options",
    "from": "option_contracts",
    "match": {name: name for name in KEY},
    "columns": ["ltp", "oi", "timestamp"],
    "as_of": {"column": "timestamp", "time": "timestamp", "ago_secs": 60 * MINUTES, "within_secs": 600},
    "after": {"consumer": "storage-group", "sink": "postgres"},
    "into": "minutes_ago",
}
ORACLE = f"""SELECT o."timestamp", o.strike_price, o.option_type, o.oi - p.oi, round((o.ltp - p.ltp)::numeric, 6)
FROM option_contracts o LEFT JOIN option_contracts p
ON (p.symbol_id, p.expiry, p.strike_price, p.option_type) = (o.symbol_id, o.expiry, o.strike_price, o.option_type)
AND p."timestamp" = o."timestamp" - interval '{MINUTES} minutes' ORDER BY 1, 2, 3"""


def chains() -> Batch:
    """One symbol and expiry, a chain a minute."""
    simulated = islice(Simulator(3, datetime.now(UTC).date(), underlyings=["NIFTY"], strikes=15, interval_secs=60), CHAINS * 10)
    of_one = [one for one in simulated if one.key.startswith(b"NIFTY:")]
    ours = [one for one in of_one if one.key == of_one[0].key][:CHAINS]
    messages = tuple(Message(Position(TOPIC, n), one.value, key=one.key) for n, one in enumerate(ours))
    return Batch(messages, advance={TOPIC: Span(0, len(messages))})


async def test_build_up_against_minutes_ago(database: Database) -> None:
    """What `classify_buildup` makes of the table `minutes_ago` is what SQL finds; before storage has the chains it is waited."""
    sink = make_sink(database, tables={"options": {"into": "option_contracts"}})
    await migrate(database, sink)
    transforms = make(FlattenChain), make_lookup(database.url, HISTORY), make(ClassifyBuildup, history="minutes_ago")
    with pytest.raises(Retry, match="has not stored"):
        await flow(chains(), *transforms)
    await sink.open()
    await sink.claim({TOPIC: 0})
    [flat] = await flow(chains(), make(FlattenChain))
    await sink.write(flat)
    await sink.close()
    transforms = make(FlattenChain), make_lookup(database.url, HISTORY), make(ClassifyBuildup, history="minutes_ago")
    [after] = await flow(chains(), *transforms)
    made = sorted((row[0], row[3], row[4], row[6], row[5]) for row in after.tables["buildups"].rows)
    oracle = [line.split("|") for line in database.sql(ORACLE).splitlines()]
    assert CHAINS * 30 == len(oracle) == len(made)
    assert [line[3] for line in oracle] == ["" if row[3] is None else str(row[3]) for row in made]
    assert 30 * (CHAINS - MINUTES) == sum(row[3] is not None for row in made)
    moved = [(float(line[4]), row[4]) for line, row in zip(oracle, made, strict=True) if line[4]]
    assert all(abs(expected - found) < 1e-6 for expected, found in moved)
    assert len(moved) > 100
