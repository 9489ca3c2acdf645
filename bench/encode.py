"""CPU of rows into COPY: `values.check` and asyncpg's encoder beside `encoding`, on rows of `option_contracts`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import random
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
from applying import applied
from bed import ROOT  # puts the tests' servers on the path

from kit.postgres import PostgresServer
from stockifyd.api import Batch, Context, Message, Partition, Position, Row, Table
from stockifyd_optionchain.flatten_chain import FlattenChain, FlattenChainOptions
from stockifyd_optionchain.simulator import Simulator
from stockifyd_postgres import values
from stockifyd_postgres.encoding import END, SIGNATURE, encode

GREEKS = ("iv", "delta", "gamma", "theta", "vega", "rho")
SHAPE = re.compile(r"CREATE TABLE IF NOT EXISTS {table} \((.*),\n  PRIMARY KEY", re.DOTALL)
TYPES = "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'options'::regclass AND attnum > 0"
Way = Callable[[], Awaitable[None]]


def options(count: int) -> Table:
    """Rows of simulated chains of 500 options."""
    chains = islice(Simulator(1, datetime.now(UTC).date(), strikes=250), count // 500)
    messages = tuple(Message(Position(Partition("chains"), n), value) for n, (_, value, _) in enumerate(chains))
    context = Context("bench", "flatten_chain", logging.getLogger("bench"))
    return applied(FlattenChain(FlattenChainOptions(), context), Batch(messages)).tables["options"]


def unsolved(table: Table, share: float) -> list[Row]:
    """The rows, without the greeks in a share of them."""
    chance, gone = random.Random(1), {table.columns.index(name) for name in GREEKS}
    return [
        tuple(None if at in gone else value for at, value in enumerate(row)) if chance.random() < share else row
        for row in table.rows
    ]


def ways(connection: asyncpg.Connection[Any], table: Table, rows: list[Row], types: Mapping[str, str]) -> dict[str, Way]:
    """What is compared; sending needs rows that were encoded before."""
    kinds = [types[name] for name in table.columns]
    ready = encode(kinds, rows) or []

    async def check() -> None:
        values.check("options", table.columns, types, rows)

    async def records() -> None:
        await connection.copy_records_to_table("options", columns=table.columns, records=rows)

    async def encoded() -> None:
        if encode(kinds, rows) is None:
            raise RuntimeError("the rows were left to asyncpg")

    async def sent() -> None:
        async def parts() -> Any:
            for part in (SIGNATURE, *ready, END):
                yield part

        await connection.copy_to_table("options", columns=list(table.columns), source=parts(), format="binary")

    return {"values.check": check, "copy_records_to_table": records, "encode": encoded, "copy_to_table": sent}


async def measure(connection: asyncpg.Connection[Any], compared: Mapping[str, Way], rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of this process for each way, all of them in turn in each round."""
    found: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(rounds):
        for name, way in compared.items():
            await connection.execute("TRUNCATE options")
            begun = time.process_time()
            await way()
            found[name].append((time.process_time() - begun) * 1000)
    return found


def told(title: str, found: Mapping[str, list[float]]) -> str:
    check, records, ours, sent = found.values()
    sums = {
        "before: both": [a + b for a, b in zip(check, records, strict=True)],
        "now: both": [a + b for a, b in zip(ours, sent, strict=True)],
    }
    lines = [f"{title}, CPU ms{'':<12} median    min"]
    lines += [f"  {name:<28}{statistics.median(times):8.1f}{min(times):7.1f}" for name, times in {**found, **sums}.items()]
    before, now = sums.values()
    ratios = f"{statistics.median(now) / statistics.median(before):8.2f}{min(now) / min(before):7.2f}"
    return "\n".join([*lines, f"  {'ratio':<28}{ratios}"])


async def run(rows: int, rounds: int) -> None:
    table = options(rows)
    shape = SHAPE.search((Path(ROOT) / "plugins/stockifyd_postgres/tables/option_contracts.sql").read_text())
    with PostgresServer() as server:
        connection = await asyncpg.connect(server.url(), statement_cache_size=0)
        await connection.execute(f"CREATE UNLOGGED TABLE options ({shape[1] if shape else ''})")
        types = {row[0]: row[1] for row in await connection.fetch(TYPES)}
        for title, part in {"all there": table.rows, "no greeks in 15 %": unsolved(table, 0.15)}.items():
            compared = ways(connection, table, part, types)
            gc.collect()
            gc.freeze()
            print(told(f"{len(part)} rows, {title}", await measure(connection, compared, rounds)))
        await connection.close()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=20_000)
    asked.add_argument("--rounds", type=int, default=15)
    given = asked.parse_args()
    asyncio.run(run(given.rows, given.rounds))


if __name__ == "__main__":
    main()
