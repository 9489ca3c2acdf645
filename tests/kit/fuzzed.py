"""The way of messages into a database, without Kafka, for tests that send anything; values at every edge, and the time for it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.fixtures_postgres import Database
from kit.postgres_sink import LOG, TOPIC, make_sink, migrate
from stockifyd.api import Batch, Message, Position, Span, Transform
from stockifyd.runtime.breaker import Breaker
from stockifyd.runtime.delivery import Delivery
from stockifyd.runtime.ledgers import Ledgers
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.timing import Timing
from stockifyd.runtime.transforming import Transforms
from stockifyd.spec.model import Delivery as DeliveryOptions
from stockifyd_postgres.sink import Postgres

EXAMPLES = int(os.environ.get("STOCKIFYD_FUZZ_EXAMPLES") or "0")
"""So many examples for each test; without it, as many as its time box holds."""
BOX_SECS = 3.5
ROUND = 20
BOUND_SECS = 60

T = TypeVar("T")

INTEGERS = [0, -1, 2**15 - 1, 2**15, -(2**15), -(2**15) - 1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**53 + 1]
INTEGERS += [2**63 - 1, -(2**63) + 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**400]
FLOATS = [0.0, -0.0, 0.1, -1.5, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, float("nan"), float("inf"), 1e16 + 2]
FLOATS += [3.4028234663852886e38, 3.4028235677973366e38, 3.402823567797337e38, -3.5e38, 1.401298464324817e-45, 7e-46]
TEXTS = ["", "\0", "a\0b", "\ud800", "\udc00\ud800", "😀", "\u202e", "\\", "\t\\N\n", "\\u0000", "CE", "pe", "1", "NaN"]
DATES = ["2026-02-30", "0001-01-01", "9999-12-31", "infinity", "0000-00-00", "2026-11-24", "20261124", "2026-11-24T00:00:00Z"]
MOMENTS = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999-14:00", "1970-01-01T00:00:00Z"]
MOMENTS += ["2026-11-24T09:15:00", "2026-11-24T09:15:60Z", "-infinity", "2026-11-24T09:15:00.123456789+05:30"]
ANYTHING: st.SearchStrategy[Any] = (
    st.sampled_from([*INTEGERS, *FLOATS, *TEXTS, *DATES, *MOMENTS, None, True, [], {}, [[]], {"a": None}])
    | st.text(max_size=8)
    | st.floats()
    | st.integers(-(2**64), 2**64)
)


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Mostly whole; else cut short, with a byte changed, or with bytes put in."""
    at = draw(st.integers(0, len(raw) - 1))
    ways = [raw] * 8 + [raw[:at], raw[:at] + draw(st.binary(min_size=1, max_size=1)) + raw[at + 1 :]]
    return draw(st.sampled_from([*ways, raw[:at] + draw(st.binary(max_size=4)) + raw[at:]]))


def symbol_of(raw: bytes) -> Any:
    """What tells a chain from others: two of one symbol would be a conflict of keys, which halts. Its bytes, if it is none."""
    try:
        symbol = json.loads(raw)["symbol_id"]
    except (ValueError, LookupError, TypeError):
        return raw
    return symbol if isinstance(symbol, int | float) else raw


def for_a_while(strategy: st.SearchStrategy[T], check: Callable[[T], None]) -> None:
    """Check one example after another, in rounds: hypothesis cannot end a round when its time is over."""
    count = 0

    @settings(max_examples=EXAMPLES or ROUND, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def one_round(example: T) -> None:
        nonlocal count
        count += 1
        check(example)

    until = time.monotonic() + BOX_SECS
    one_round()
    while not EXAMPLES and time.monotonic() < until:
        one_round()
    print(f"{count} examples")


class Fuzzed:
    """From a message to the tables, as the runtime puts transforms and sink together; and a look at what came of it."""

    def __init__(self, runner: asyncio.Runner, sink: Postgres, transforms: Sequence[Transform[Any]]) -> None:
        shared = Shared(DeliveryOptions(on_drift="continue"), Timing(), LOG, Breaker(LOG, lambda: None), lambda batch, secs: None)
        self._run, self._sink = runner.run, sink
        self._transforms = Transforms(transforms, shared)
        self._ledgers = Ledgers([sink])
        self._delivery = Delivery([sink], self._ledgers, shared)
        self._owner: asyncpg.Connection[asyncpg.Record] | None = None

    @property
    def owner(self) -> asyncpg.Connection[asyncpg.Record]:
        """A connection of the tables' owner; there is one from `open` on."""
        assert self._owner is not None
        return self._owner

    async def open(self, owner_url: str) -> None:
        await self._sink.open()
        await self._ledgers.claim({TOPIC: 0}, {})
        self._owner = await asyncpg.connect(owner_url)
        # numbers of JSON as they stand there
        loads = partial(json.loads, parse_int=Decimal, parse_float=Decimal)
        await self._owner.set_type_codec("jsonb", encoder=json.dumps, decoder=loads, schema="pg_catalog")

    async def close(self) -> None:
        await self.owner.close()
        await self._sink.close()

    def store(self, raws: Iterable[bytes]) -> int:
        """All of them as one batch, into empty tables; answers with the offset of the first."""
        return self._run(self._stored(raws))

    def rows(self, table: str, columns: Iterable[str]) -> list[tuple[Any, ...]]:
        """What is stored."""
        names = ", ".join(f'"{name}"' for name in columns)
        return [tuple(row) for row in self._run(self.owner.fetch(f"SELECT {names} FROM {table}"))]

    def letters(self) -> list[tuple[int, bytes]]:
        """The dead letters: offset and payload."""
        rows = self._run(self.owner.fetch('SELECT "offset", payload FROM stockifyd.dead_letters ORDER BY 1'))
        return [(row[0], row[1]) for row in rows]

    async def _stored(self, raws: Iterable[bytes]) -> int:
        for table in (*(table.into for table in self._sink.config.tables.values()), "stockifyd.dead_letters"):
            await self.owner.execute(f"DELETE FROM {table}")
        base = self._ledgers.next["postgres"][TOPIC]
        some = tuple(Message(Position(TOPIC, offset), raw) for offset, raw in zip(itertools.count(base), raws))
        batch = Batch(some, advance={TOPIC: Span(base, base + len(some))})
        async with asyncio.timeout(BOUND_SECS):
            await self._delivery.deliver(await self._transforms.apply(batch))
        assert base + len(some) == await self.owner.fetchval("SELECT next_offset FROM stockifyd.offsets")
        return base


@contextmanager
def way_into(
    database: Database, tables: Mapping[str, Any], *transforms: Transform[Any], sql: str = "", **options: Any
) -> Iterator[Fuzzed]:
    """The way through transforms into tables; `sql` is run once they are there."""
    sink = make_sink(database, tables=tables, **options)
    with asyncio.Runner() as runner:
        runner.run(migrate(database, sink))
        database.sql(sql)
        way = Fuzzed(runner, sink, transforms)
        runner.run(way.open(database.owner_url))
        try:
            yield way
        finally:
            runner.run(way.close())
