"""The sink keeps the contract of sinks, and its documents say what its options are."""

import json
from pathlib import Path
from typing import Any

from stockifyd.api import Row
from stockifyd.testing import SinkContract, check_readme, check_sample
from stockifyd_acme import Acme

ROOT = Path(__file__).parents[1]


class TestAcme(SinkContract[Acme]):
    """Facts that hold of every sink: written, cancelled, killed, broken, mended."""

    sink = Acme

    def options(self, tmp_path: Path) -> dict[str, Any]:
        folder = tmp_path / "folder"
        if not (tmp_path / "away").exists():
            folder.mkdir(exist_ok=True)
        return {"path": str(folder / "rows.jsonl")}

    def stored(self, sink: Acme) -> list[Row]:
        path = Path(sink.config.path)
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def break_it(self, component: Acme) -> None:
        folder = Path(component.config.path).parent
        folder.rename(folder.parent / "away")

    def mend_it(self, component: Acme) -> None:
        folder = Path(component.config.path).parent
        (folder.parent / "away").rename(folder)


def test_the_documents_are_true() -> None:
    """Sample and README show every option as it is declared."""
    check_sample(Acme, ROOT / "sample.yaml")
    check_readme(Acme, ROOT / "README.md")
