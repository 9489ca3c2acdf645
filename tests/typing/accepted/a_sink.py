"""A plain sink and its contract, as an author writes them."""

from pathlib import Path
from typing import Annotated, Any, assert_type

from msgspec import Meta

from stockifyd.api import Batch, Component, Config, Receipt, Row, Secret, Sink, Table, Unavailable, hookimpl
from stockifyd.testing import SinkContract, make, make_batch, run


class CsvOptions(Config, frozen=True):
    path: Annotated[str, Meta(description="Where to write.")]
    token: Secret | None = None


class Csv(Sink[CsvOptions]):
    """Appends to a file."""

    type = "csv"
    idempotent = False

    async def open(self) -> None:
        assert_type(self.config.path, str)
        assert_type(self.config.token, Secret | None)
        if not self.config.path:
            raise Unavailable("no path", hint="give one")

    async def write(self, batch: Batch) -> Receipt:
        table = batch.tables["options"]
        assert_type(table, Table)
        assert_type(table.rows, list[Row])
        return Receipt(rows=len(table.rows), rejected={1: "bad"})


class Silent(Sink[CsvOptions]):
    """A sink that answers nothing."""

    type = "silent"

    async def write(self, batch: Batch) -> None: ...


class TestCsv(SinkContract[Csv]):
    sink = Csv

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"path": str(tmp_path)}

    def stored(self, sink: Csv) -> list[Row]:
        return [(1, sink.config.path)]

    async def break_it(self, component: Csv) -> None: ...

    def mend_it(self, component: Csv) -> None: ...


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Csv, Silent]


assert_type(make(Csv, path="x"), Csv)
assert_type(run(make_batch(3), make(Csv, path="x")), list[Batch])
