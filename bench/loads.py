"""Loads, from all messages waiting in Kafka to all rows in PostgreSQL: figures a, b, d and e."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bed import Bed

from stockifyd_optionchain.simulator import Simulator

PARTITIONS = 12
OPTIONS = 500
SPEC = """version: 1
name: {name}
source: {{type: kafka, brokers: "${{KAFKA_BOOTSTRAP_SERVERS}}", topics: [{topic}], group: {name}}}
transforms: [{transform}]
sinks: [{{type: postgres, tables: {{{tables}}}}}]
delivery: {{{delivery}}}
"""
CHAIN_TABLES = "snapshots: {into: market_snapshots, on_conflict: ignore}, options: {into: option_contracts, on_conflict: ignore}"
TICK_COLUMNS = (
    "timestamp: {type: timestamp}, symbol_id: {type: int}, last_price: {type: float}, last_qty: {type: bigint},"
    " volume: {type: bigint}, oi: {type: bigint}, bid: {type: float}, ask: {type: float}"
)
TICKS = """CREATE TABLE ticks ("timestamp" timestamptz NOT NULL, symbol_id integer NOT NULL, last_price double precision,
last_qty bigint, volume bigint, oi bigint, bid double precision, ask double precision, PRIMARY KEY (symbol_id, "timestamp"))"""


class Figures(NamedTuple):
    """One load: rows a second, CPU seconds of the program a million rows, peak of resident memory in MiB."""

    rows_a_sec: float
    cpu_secs: float = 0.0
    peak_mib: float = 0.0


@dataclass(frozen=True)
class Subject:
    """What is loaded: messages of so many rows each, and where the rows go."""

    topic: str
    table: str
    rows_a_message: int
    transform: str
    tables: str
    beside: str
    """Another table that its rows go into."""
    messages: Mapping[int, list[bytes]] = field(repr=False)

    @property
    def count(self) -> int:
        return sum(map(len, self.messages.values()))

    @property
    def rows(self) -> int:
        return self.count * self.rows_a_message

    def spec(self, at: Bed, name: str, delivery: str = "") -> Path:
        path = at.folder / f"{name}.yaml"
        given = {"topic": self.topic, "transform": self.transform, "tables": self.tables}
        path.write_text(SPEC.format(name=name, delivery=delivery, **given))
        return path


def chains(count: int, *, spread: bool = False) -> Subject:
    """Simulated chains of 500 options, dealt to partitions by expiry as their key does, or `spread` evenly."""
    made: dict[int, list[bytes]] = {n: [] for n in range(PARTITIONS)}
    keys: dict[bytes, int] = {}
    for n, (key, value, _) in enumerate(islice(Simulator(1, datetime.now(UTC).date(), strikes=OPTIONS // 2), count)):
        made[(n if spread else keys.setdefault(key, len(keys))) % PARTITIONS].append(value)
    topic = "spread" if spread else "chains"
    return Subject(topic, "option_contracts", OPTIONS, "{type: flatten_chain}", CHAIN_TABLES, "market_snapshots", made)


def ticks(count: int) -> Subject:
    """Messages of 200 bytes, one row each."""
    made: dict[int, list[bytes]] = {n: [] for n in range(PARTITIONS)}
    start = datetime.now(UTC).replace(hour=4, minute=0, second=0, microsecond=0)
    for n in range(count):
        at = (start + timedelta(milliseconds=n // 50)).isoformat(timespec="milliseconds")
        tick = {"timestamp": at, "symbol_id": n % 50, "symbol": f"NIFTY{n % 50:02}", "last_price": 25_000 + n % 997 / 20}
        tick |= {"last_qty": 75 * (n % 9), "volume": n * 75, "oi": 75 * (n % 100_003), "bid": 24_999.95, "ask": 25_050.0}
        made[n % 50 % PARTITIONS].append(json.dumps(tick, separators=(",", ":")).encode().ljust(200))
    transform = f"{{type: flatten, table: ticks, columns: {{{TICK_COLUMNS}}}}}"
    return Subject("ticks", "ticks", 1, transform, "ticks: {into: ticks, on_conflict: ignore}", "", made)


def empty(at: Bed, subject: Subject) -> None:
    at.sql(f"TRUNCATE {', '.join(filter(None, (subject.table, subject.beside)))}; CHECKPOINT")


def load(at: Bed, subject: Subject, name: str, *, delivery: str = "", started: Callable[[int], Any] = id) -> Figures:
    """Rows a second from the first commit to the last, of `stockifyd run` with all messages waiting in Kafka.

    `started` is told its process id.
    """
    empty(at, subject)
    run = at.run(subject.spec(at, name, delivery))
    started(run.process.pid)
    began, at_first, cpu_first = 0.0, 0, 0.0
    while (stored := at.stored(name)) < subject.count:
        if stored and not at_first:
            began, at_first, cpu_first = time.perf_counter(), stored, run.usage()[0]
        run.check()
        time.sleep(0.02)
    secs, (cpu, peak) = time.perf_counter() - began, run.usage()
    run.stop()
    rows = (subject.count - at_first) * subject.rows_a_message
    return Figures(rows / secs, (cpu - cpu_first) / rows * 1e6, peak)


def copy(at: Bed, subject: Subject) -> Figures:
    """Rows a second of psql's own loading of a ready binary file, through the same PgBouncer."""
    empty(at, subject)
    return Figures(subject.rows / at.psql(f"\\copy {subject.table} from '{_file(at, subject)}' with (format binary)"))


def prepare(at: Bed, subject: Subject) -> None:
    """The topic, the tables, and the file that \\copy loads: what a first load of ours has stored."""
    at.produce(subject.topic, PARTITIONS, subject.messages)
    if not subject.beside:
        at.sql(TICKS.replace("TABLE", "TABLE IF NOT EXISTS", 1))
    name = f"warm_{subject.topic}"
    at.migrate(subject.spec(at, name))
    load(at, subject, name)
    if (there := int(at.sql(f"SELECT count(*) FROM {subject.table}"))) != subject.rows:
        raise RuntimeError(f"{there} rows are there, not {subject.rows}")
    os.chmod(at.folder, 0o755)  # noqa: PTH101
    at.psql(f"\\copy (select * from {subject.table}) to '{_file(at, subject)}' with (format binary)")


class Race(NamedTuple):
    """Loads by several ways, each beside a \\copy of its own: the machine is shared, and faster at one time than another."""

    ways: dict[str, list[Figures]]
    ratios: dict[str, list[float]]
    copies: list[Figures]


def race(at: Bed, subject: Subject, ways: Mapping[str, str], rounds: int, say: Callable[[str], None]) -> Race:
    """The same rows by each way (what `delivery:` says) in turn, each between two of \\copy, which count by halves."""
    found = Race({way: [] for way in ways}, {way: [] for way in ways}, [copy(at, subject)])
    for n in range(rounds):
        for number, (way, delivery) in enumerate(ways.items()):
            figures = load(at, subject, f"{subject.topic}_{'abcdef'[number]}{'x' * n}", delivery=delivery)
            found.copies.append(copy(at, subject))
            beside = statistics.mean(f.rows_a_sec for f in found.copies[-2:])
            found.ways[way].append(figures)
            found.ratios[way].append(figures.rows_a_sec / beside)
            say(f"{subject.topic}, {way}: {figures.rows_a_sec:,.0f} rows/s beside {beside:,.0f}")
    return found


def _file(at: Bed, subject: Subject) -> Path:
    return at.folder / f"{subject.topic}.bin"
