"""The sink `file`: rows or messages into files, as JSON lines, CSV or Parquet."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from stockifyd.api import Batch, Config, Context, Receipt, Sink, StockifydError, Table, Tables
from stockifyd_basic.appending import Appender
from stockifyd_basic.arriving import Word, arrived
from stockifyd_basic.lines import head_as_csv, messages_as_json, rows_as_csv, rows_as_json
from stockifyd_basic.parquet import ParquetFiles

NEEDS_ARROW = "format: 'parquet' needs pyarrow, which is not installed; HINT: pip install 'stockifyd[arrow]'"


class FileSinkOptions(Config, frozen=True):
    """Which file, what is in it, and when another one begins."""

    path: Annotated[
        Word,
        Meta(description="The file that is appended to; its folder must be there.", examples=["/var/lib/stockifyd/quotes.jsonl"]),
    ]
    format: Annotated[
        Literal["json", "csv", "parquet"],
        Meta(description="JSON, an object a line; CSV with a line of column names; or Parquet, each batch a file of its own."),
    ] = "json"
    table: Annotated[Word | None, Meta(description="The table whose rows are written; default: the values of messages.")] = None
    rotate_bytes: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Finish the file before it is longer than this: it is renamed, and another begins."),
    ] = None
    rotate_secs: Annotated[
        Annotated[float, Meta(ge=1)] | None,
        Meta(description="Finish the file at the end of each span of the clock: 3600 is at every full hour."),
    ] = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.table is None and self.format != "json":
            raise ValueError(f"format: {self.format!r} needs `table`: whole messages are JSON alone")
        if self.format == "parquet" and (self.rotate_bytes or self.rotate_secs):
            raise ValueError(
                "format: of 'parquet' each batch is a file of its own; `rotate_bytes` and `rotate_secs` mean nothing"
            )
        if self.format == "parquet" and importlib.util.find_spec("pyarrow") is None:
            raise ValueError(NEEDS_ARROW)


class FileSink(Sink[FileSinkOptions]):
    """Writes rows of a table, or the values of messages, to files; what it has answered for is on the disk.

    At least once: after a crash the last batch may be there twice. A line that a crash left unfinished is cut off before the next
    one. A finished file never changes again.
    """

    type = "file"

    def __init__(self, config: FileSinkOptions, context: Context) -> None:
        super().__init__(config, context)
        path = Path(config.path)
        self._file = Appender(
            path, context.log, rotate_bytes=config.rotate_bytes, rotate_secs=config.rotate_secs, quoted=config.format == "csv"
        )
        self._parquet = ParquetFiles(path)
        self._turning: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Look whether the file can be written. Unavailable where its folder is away, Drift for a missing right."""
        await asyncio.to_thread(self._file.check)
        if self.config.rotate_secs and self._turning is None:
            self._turning = asyncio.create_task(self._turn(self.config.rotate_secs), name=f"{self.context.name}-rotation")

    async def write(self, batch: Batch) -> Receipt:
        """Append and wait for the disk. Unavailable where it is full or away, Drift for a missing right, Reject for a row."""
        if self.config.table is None:
            return await self._write_messages(batch)
        table = arrived(batch, self.config.table)
        if table.rows:
            await asyncio.to_thread(self._write_rows, self.config.table, table)
        return Receipt(rows=len(table.rows))

    def wants(self) -> Tables:
        """The table, if one is named."""
        return {} if self.config.table is None else {self.config.table: ()}

    async def close(self) -> None:
        """The file stays as it is: the next one goes on with it."""
        turning, self._turning = self._turning, None
        if turning is not None:
            turning.cancel()
            await asyncio.wait({turning})

    async def _write_messages(self, batch: Batch) -> Receipt:
        if batch.messages:
            await asyncio.to_thread(lambda: self._file.append(messages_as_json(batch.messages)))
        return Receipt(rows=len(batch.messages))

    def _write_rows(self, name: str, table: Table) -> None:
        match self.config.format:
            case "json":
                self._file.append(rows_as_json(name, table))
            case "csv":
                self._file.append(rows_as_csv(name, table), head_as_csv(table.columns))
            case "parquet":
                self._parquet.write(name, table)

    async def _turn(self, secs: float) -> None:
        """Finish a file whose time is over, also while nothing comes."""
        while True:
            await asyncio.sleep(secs - time.time() % secs + 0.05)
            with suppress(StockifydError):  # the next write says it
                await asyncio.to_thread(self._file.rest)
