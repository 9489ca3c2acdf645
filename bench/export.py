"""An export, from option rows in PostgreSQL to a file of CSV, beside `psql \\copy` of the same rows: figure h."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from applying import applied
from bed import DATABASE, ROOT, WRITER, Bed
from loads import OPTIONS, Figures

from kit.postgres import PASSWORD
from stockifyd.api import Batch, Context, Message, Partition, Position
from stockifyd_optionchain.flatten_chain import FlattenChain, FlattenChainOptions
from stockifyd_optionchain.simulator import Simulator

CHAINS_AT_A_TIME = 40
SPEC = ROOT / "pipelines" / "historical.yaml"
PSQL = 'select * from option_contracts order by "timestamp", symbol_id, expiry, strike_price, option_type'


@dataclass(frozen=True)
class History:
    """Simulated chains of yesterday in `option_contracts`."""

    at: Bed
    day: date
    chains: int

    @property
    def rows(self) -> int:
        return self.chains * OPTIONS

    @property
    def where(self) -> dict[str, str]:
        """The replica: here it is the primary itself, behind PgBouncer."""
        host = f"127.0.0.1:{self.at.pgbouncer.port}"
        return {
            "DATABASE_REPLICA_HOSTS": host, "DATABASE_NAME": DATABASE, "DATABASE_USER": WRITER, "DATABASE_PASSWORD": PASSWORD,
        }  # fmt: skip

    def batches(self, last: int = 0) -> Iterator[Batch]:
        """Its chains, or the last of them, with a row for each option in table `options`."""
        flatten = FlattenChain(FlattenChainOptions(), Context("bench", "flatten_chain", logging.getLogger("bench")))
        made = islice(Simulator(1, self.day, strikes=OPTIONS // 2), self.chains - last if last else 0, self.chains)
        for lot in iter(lambda: list(islice(made, CHAINS_AT_A_TIME)), []):
            messages = tuple(Message(Position(Partition("chains"), n), one.value) for n, one in enumerate(lot))
            yield applied(flatten, Batch(messages))

    @property
    def file(self) -> Path:
        return self.at.folder / "options.csv"

    def export(self) -> Figures:
        """Rows a second of `stockifyd run`, from its start to its end, with nothing exported yet."""
        for path in self.at.folder.glob("options.c*"):
            path.unlink()
        when = {"HISTORICAL_FROM": f"{self.day}T00:00:00Z", "HISTORICAL_TO": f"{self.day + timedelta(days=1)}T00:00:00Z"}
        began = time.perf_counter()
        run = self.at.run(SPEC, **self.where, **when, HISTORICAL_FOLDER=str(self.at.folder))
        cpu, peak = run.watched()
        secs, lines = time.perf_counter() - began, _lines(self.file)
        if run.process.returncode or lines != self.rows + 1:
            raise RuntimeError(f"{lines} lines, not {self.rows + 1}; stockifyd ended:\n{run.log.read_text()[-3000:]}")
        return Figures(self.rows / secs, cpu / self.rows * 1e6, peak)

    def copy(self) -> Figures:
        """Rows a second of psql, with the same rows in the same order, through the same PgBouncer."""
        return Figures(self.rows / self.at.psql(f"\\copy ({PSQL}) to '{self.file}' with (format csv, header)"))


def filled(at: Bed, chains: int) -> History:
    """Chains of 500 options, stored as the storage pipeline stores them."""
    at.migrate(ROOT / "pipelines" / "storage.yaml")
    history = History(at, datetime.now(UTC).date() - timedelta(days=1), chains)
    at.sql(f"TRUNCATE option_contracts; SELECT stockifyd.ensure_day('option_contracts', '{history.day}')")
    for batch in history.batches():
        at.copy(batch.tables["options"])
    at.sql("ANALYZE option_contracts; CHECKPOINT")
    return history


class Race(NamedTuple):
    """Exports, each between two of psql's."""

    ours: list[Figures]
    copies: list[Figures]
    ratios: list[float]


def race(history: History, rounds: int, say: Callable[[str], None]) -> Race:
    """The same rows by both in turn: the machine is shared, and faster at one time than another."""
    found = Race([], [history.copy()], [])
    for _ in range(rounds):
        ours = history.export()
        found.copies.append(history.copy())
        beside = statistics.mean(f.rows_a_sec for f in found.copies[-2:])
        found.ours.append(ours)
        found.ratios.append(ours.rows_a_sec / beside)
        say(f"export: {ours.rows_a_sec:,.0f} rows/s beside {beside:,.0f}, {ours.peak_mib:.0f} MiB")
    return found


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))
