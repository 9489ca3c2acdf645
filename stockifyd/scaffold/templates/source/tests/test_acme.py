"""The source keeps the contract of sources, and its documents say what its options are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stockifyd.testing import SourceContract, check_readme, check_sample
from stockifyd_acme import Acme

ROOT = Path(__file__).parents[1]


class TestAcme(SourceContract[Acme]):
    """Facts that hold of every source: in order, from where it is told, told again, killed, broken, mended."""

    source = Acme

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"path": str(tmp_path / "lines"), "read_max_messages": 3}

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        with (tmp_path / "lines").open("ab") as file:
            file.writelines(body + b"\n" for body in bodies)

    def break_it(self, component: Acme) -> None:
        path = Path(component.config.path)
        if path.exists():
            path.rename(path.with_name("away"))

    def mend_it(self, component: Acme) -> None:
        path = Path(component.config.path).with_name("away")
        if path.exists():
            path.rename(component.config.path)


def test_the_documents_are_true() -> None:
    """Sample and README show every option as it is declared."""
    check_sample(Acme, ROOT / "sample.yaml")
    check_readme(Acme, ROOT / "README.md")
