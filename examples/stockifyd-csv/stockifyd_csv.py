"""Appends a table to a CSV file."""

import csv
import os
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import Batch, Component, Config, Receipt, Sink, Tables, Unavailable, hookimpl


class CsvOptions(Config, frozen=True):
    path: Annotated[str, Meta(description="The file; made, with a line of column names, if it is not there.")]
    table: Annotated[str, Meta(description="The table whose rows are written.")] = "options"


class Csv(Sink[CsvOptions]):
    """Appends the rows of one table to a CSV file. At least once: after a crash rows may be there twice."""

    type = "csv"

    async def open(self) -> None:
        self._append([])

    async def write(self, batch: Batch) -> Receipt:
        table = batch.tables[self.config.table]
        self._append(table.rows, table.columns)
        return Receipt(rows=len(table.rows))

    def wants(self) -> Tables:
        return {self.config.table: ()}

    def _append(self, rows: list[tuple[Any, ...]], columns: tuple[str, ...] = ()) -> None:
        try:
            with Path(self.config.path).open("a", newline="") as file:
                if columns and not file.tell():
                    csv.writer(file).writerow(columns)
                csv.writer(file).writerows(rows)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(
                f"{self.config.path}: {error.strerror}", hint="is there such a folder, and may we write?"
            ) from error


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Csv]
