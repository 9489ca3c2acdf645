"""What was sent is in the tables, value for value: simulated chains and recorded ones."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import asyncpg
import pytest

from kit.bed import Bed
from kit.feed import OPTION_COLUMNS
from kit.fixtures_bed import MakeBed
from kit.kafka_topics import producer
from stockifyd_optionchain.simulator import Produced, Simulator
from stockifyd_optionchain.simulator.recorded import read_recorded

RECORDED = Path(__file__).parents[3].parent / "shared" / "data"
PUT_CALL = """SELECT round((sum(oi) FILTER (WHERE option_type = 'PE') / sum(oi) FILTER (WHERE option_type = 'CE'))::numeric, 4)
FROM option_contracts WHERE expiry = $1"""
OF_OPTIONS = f"""SELECT "timestamp", symbol_id, {", ".join(OPTION_COLUMNS)} FROM option_contracts"""
OF_SNAPSHOTS = """SELECT "timestamp", symbol_id, expiry, spot_price, total_call_oi, total_put_oi, pcr_ratio, max_pain_strike
FROM market_snapshots"""


async def test_simulated_chains_are_in_the_tables(make_bed: MakeBed) -> None:
    """Every option and every snapshot of a simulated session's beginning, each once, with every value as it was sent."""
    chains = list(islice(Simulator(7, datetime.now(UTC).date(), strikes=40), 400))
    bed: Bed = make_bed(keyed=True, on_conflict="ignore")
    async with _stored(bed, chains) as connection:
        assert sorted(_options(chains), key=_key) == sorted(map(tuple, await connection.fetch(OF_OPTIONS)), key=_key)
        assert sorted(_snapshots(chains)) == sorted(map(tuple, await connection.fetch(OF_SNAPSHOTS)))


@pytest.mark.skipif(not RECORDED.is_dir(), reason=f"there are no recorded chains in {RECORDED}")
async def test_recorded_chains_are_in_the_tables(make_bed: MakeBed) -> None:
    """Both real chains, row for row; their put-call ratios, from the rows, are the known ones."""
    files = sorted(RECORDED.glob("nifty-option-chain-*.json"))
    chains = [read_recorded(str(path), None, form="canonical") for path in files]
    bed: Bed = make_bed(keyed=True, on_conflict="ignore")
    async with _stored(bed, chains) as connection:
        assert sorted(_options(chains), key=_key) == sorted(map(tuple, await connection.fetch(OF_OPTIONS)), key=_key)
        expiries = sorted({row[2] for row in _options(chains)})
        assert ["1.0894", "0.9155"] == [str(await connection.fetchval(PUT_CALL, expiry)) for expiry in expiries]
        ratios = await connection.fetch("SELECT round(pcr_ratio::numeric, 4) FROM market_snapshots ORDER BY expiry")
        assert ["1.0894", "0.9155"] == [str(row[0]) for row in ratios]


@asynccontextmanager
async def _stored(bed: Bed, chains: Sequence[Produced]) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Chains through the pipeline; inside, a connection to look at what came of them."""
    try:
        await bed.prepare()
        async with producer(bed.kafka.direct) as client:
            for key, value, _ in chains:  # not at their own time: retention would take those of 2024 away
                partition = crc32(key) % bed.partitions
                await client.send(bed.topic, value, key=key, partition=partition)
            await client.flush()
        worker = bed.worker()
        await worker.until(lambda status: status["messages_delivered"] == len(chains))
        assert 0 == await worker.stop()
        connection = await bed.books.connect()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        bed.end()


def _options(chains: Iterable[Produced]) -> list[tuple[Any, ...]]:
    return [
        (
            *_head(chain),
            _day(option["expiry"]),
            option["strike"],
            option["option_type"],
            *(option.get(name) for name in OPTION_COLUMNS[3:]),
        )
        for chain in _parsed(chains)
        for option in chain["options"]
    ]


def _snapshots(chains: Iterable[Produced]) -> list[tuple[Any, ...]]:
    names = ("spot_price", "total_call_oi", "total_put_oi", "pcr_ratio", "max_pain_strike")
    return [
        (*_head(chain), _day(chain["options"][0]["expiry"]), *(chain["context"][name] for name in names))
        for chain in _parsed(chains)
    ]


def _parsed(chains: Iterable[Produced]) -> list[dict[str, Any]]:
    return [json.loads(chain.value) for chain in chains]


def _head(chain: dict[str, Any]) -> tuple[datetime, int]:
    return datetime.fromisoformat(chain["timestamp"]).astimezone(UTC), chain["symbol_id"]


def _day(text: str) -> Any:
    return datetime.fromisoformat(text).date()


def _key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row[:5]
