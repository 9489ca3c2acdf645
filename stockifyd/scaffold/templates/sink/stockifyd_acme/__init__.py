"""Appends a table to a file, as JSON, one row a line."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import Batch, Component, Config, Receipt, Sink, Tables, Unavailable, hookimpl

requires_api = 1


class AcmeOptions(Config, frozen=True):
    path: Annotated[str, Meta(description="The file; made if it is not there. Its folder must be there.")]
    table: Annotated[str, Meta(description="The table whose rows are written.")] = "options"


class Acme(Sink[AcmeOptions]):
    """Appends the rows of one table to a file, as JSON, one row a line. At least once: after a crash rows may be there twice."""

    type = "acme"

    async def write(self, batch: Batch) -> Receipt:
        rows = batch.tables[self.config.table].rows
        lines = "".join(f"{json.dumps(row, default=str)}\n" for row in rows)
        try:
            with Path(self.config.path).open("a") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())  # when `write` returns, the rows are durable
        except OSError as error:
            raise Unavailable(f"{self.config.path}: {error.strerror}", hint="is its folder there, and may we write?") from error
        return Receipt(rows=len(rows))

    def wants(self) -> Tables:
        return {self.config.table: ()}


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Acme]
