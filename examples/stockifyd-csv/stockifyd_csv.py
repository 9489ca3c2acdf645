"""Appends a table to a CSV file."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import Batch, Component, Config, Receipt, Reject, Sink, Tables, Unavailable, hookimpl


class CsvOptions(Config, frozen=True):
    path: Annotated[str, Meta(description="The file; made, with a line of column names, if it is not there.")]
    table: Annotated[str, Meta(description="The table whose rows are written.")] = "options"


class Csv(Sink[CsvOptions]):
    """Appends the rows of one table to a CSV file. At least once: after a crash rows may be there twice."""

    type = "csv"

    async def open(self) -> None:
        self._append(b"")

    async def write(self, batch: Batch) -> Receipt:
        table = batch.tables[self.config.table]
        self._append(_lines(table.rows), _lines([table.columns]))
        return Receipt(rows=len(table.rows))

    def wants(self) -> Tables:
        return {self.config.table: ()}

    def _append(self, lines: bytes, head: bytes = b"") -> None:
        try:
            with Path(self.config.path).open("ab") as file:
                file.write(lines if file.tell() else head + lines)  # all of it, or after a crash the beginning of it
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(
                f"{self.config.path}: {error.strerror}", hint="is there such a folder, and may we write?"
            ) from error


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    """Made before anything is written: what cannot be text is refused, and nothing of its batch is in the file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    try:
        return text.getvalue().encode()
    except UnicodeEncodeError as error:
        raise Reject("half a surrogate pair is no text") from error


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Csv]
