"""The sink keeps the contract of sinks."""

import csv
from pathlib import Path
from typing import Any

from stockifyd_csv import Csv

from stockifyd.api import Row
from stockifyd.testing import SinkContract, make, make_batch, run


class TestCsv(SinkContract[Csv]):
    sink = Csv

    def options(self, tmp_path: Path) -> dict[str, Any]:
        folder = tmp_path / "folder"
        if not (tmp_path / "away").exists():
            folder.mkdir(exist_ok=True)
        return {"path": str(folder / "out.csv")}

    def stored(self, sink: Csv) -> list[Row]:
        with Path(sink.config.path).open(newline="") as file:
            return [(int(number) if number else "", text) for number, text in list(csv.reader(file))[1:]]

    def kept(self, row: Row) -> Row:
        return tuple("" if value is None else value for value in row)  # CSV knows no NULL

    def bad_row(self) -> Row:
        return 1, "half a pair: \ud800"

    def break_it(self, component: Csv) -> None:
        folder = Path(component.config.path).parent
        folder.rename(folder.parent / "away")

    def mend_it(self, component: Csv) -> None:
        folder = Path(component.config.path).parent
        (folder.parent / "away").rename(folder)


def test_the_first_line_has_the_columns(tmp_path: Path) -> None:
    """Column names stand on top, once, also when the file is opened again."""
    path = tmp_path / "out.csv"
    for first in (0, 1):
        run(make_batch(1, first=first), make(Csv, path=str(path)))
    assert path.read_text().splitlines() == ["number,text", "0,row 0", "1,row 1"]
