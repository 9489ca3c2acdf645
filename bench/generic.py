"""What generic transforms and sinks cost for 20,000 rows of `options`: CPU and wall, medians, beside plain Python."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from applying import applied
from bed import ROOT  # noqa: F401  puts the tests' kit on the path

from stockifyd.api import Batch, Message, Partition, Position, Transform
from stockifyd.testing import make, make_context
from stockifyd_basic import Deduplicate, FileSink, Filter, Select
from stockifyd_optionchain.flatten_chain import FlattenChain, FlattenChainOptions
from stockifyd_optionchain.simulator import Simulator

FEW = ["timestamp", "symbol_id", "expiry", "strike_price", "option_type", "ltp", "oi", "iv"]
Work = Callable[[], object]


def chains(rows: int) -> Batch:
    """Simulated chains of 500 options, flattened."""
    made = islice(Simulator(1, datetime.now(UTC).date(), strikes=250), rows // 500)
    messages = tuple(Message(Position(Partition("chains"), n), value) for n, (_, value, _) in enumerate(made))
    return applied(FlattenChain(FlattenChainOptions(), make_context()), Batch(messages))


def transforms(batch: Batch) -> Iterator[tuple[str, Work]]:
    """Each with options as people have them."""
    table = batch.tables["options"]
    strike, kind, iv = (table.columns.index(name) for name in ("strike_price", "option_type", "iv"))
    middle = sorted(row[strike] for row in table.rows)[len(table.rows) // 2]
    three = f"option_type = 'CE' AND strike_price > {middle} AND iv IS NOT NULL"

    def plain() -> object:
        return [row for row in table.rows if row[kind] == "CE" and row[strike] > middle and row[iv] is not None]

    yield "the same in plain Python", plain
    yield "filter, 3 columns", one_call(make(Filter, table="options", where=three), batch)
    yield "filter, 1 column", one_call(make(Filter, table="options", where="option_type = 'CE'"), batch)
    timed = f"{three} AND timestamp >= '2026-01-01T03:45'"
    yield "filter, 4 columns, one a time", one_call(make(Filter, table="options", where=timed), batch)
    yield "filter, whole messages", one_call(make(Filter, where='"offset" % 2 = 0'), batch)
    yield f"select, {len(FEW)} of {len(table.columns)}", one_call(make(Select, table="options", columns=FEW), batch)
    yield "select, all, one renamed", one_call(make(Select, table="options", rename={"ltp": "last"}), batch)
    key = ["timestamp", "symbol_id", "expiry", "strike_price", "option_type"]
    yield (
        "deduplicate, 5 columns, all new",
        lambda: make(Deduplicate, table="options", key=key, window_max_keys=100_000).apply(batch),
    )
    known = make(Deduplicate, table="options", key=key, window_max_keys=100_000)
    known.apply(batch)
    yield "deduplicate, 5 columns, all again", one_call(known, batch)


def one_call(transform: Transform[Any], batch: Batch) -> Work:
    """One call of a transform."""
    return lambda: applied(transform, batch)


def sinks(batch: Batch, folder: Path) -> Iterator[tuple[str, Work]]:
    """Writing a batch, until it is on the disk."""
    for form in ("json", "csv", "parquet"):
        sink = make(FileSink, path=str(folder / f"out.{form}"), format=form, table="options")
        yield f"file, {form}", lambda sink=sink: asyncio.run(sink.write(batch))  # type: ignore[misc]


def measured(work: Work, rounds: int) -> tuple[float, float, float]:
    """Milliseconds: median CPU, median and longest wall."""
    cpu, wall = list[float](), list[float]()
    for _ in range(rounds):
        gc.collect()
        began, used = time.perf_counter(), time.process_time()
        work()
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - used))
    return statistics.median(cpu), statistics.median(wall), max(wall)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    logging.disable()
    batch = chains(given.rows)
    rows, columns = len(batch.tables["options"].rows), len(batch.tables["options"].columns)
    print(f"{rows} rows of {columns} columns, {len(batch.messages)} messages; {given.rounds} rounds\n")
    print("| | CPU ms | wall ms | longest |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, work in (*transforms(batch), *sinks(batch, Path(folder))):
            work()
            print("| {} | {:.1f} | {:.1f} | {:.1f} |".format(name, *measured(work, given.rounds)))


if __name__ == "__main__":
    main()
