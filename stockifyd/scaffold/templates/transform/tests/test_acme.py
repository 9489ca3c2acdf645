"""The transform keeps the contract of transforms, makes what the cases say, and its documents are true."""

from pathlib import Path
from typing import Any

from stockifyd.api import Batch
from stockifyd.testing import Case, TransformContract, check_readme, check_sample, golden, make_message
from stockifyd_acme import Acme

ROOT = Path(__file__).parents[1]


class TestAcme(TransformContract[Acme]):
    """Facts that hold of every transform: the same again and elsewhere, in any batches, whatever a message holds."""

    transform = Acme

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"price_min": 1.0}

    def batch(self) -> Batch:
        bodies = (b'{"symbol": "NIFTY", "price": 25650.5}', b"no quote", b'{"symbol": "TCS", "price": 0.5}')
        return Batch(tuple(make_message(offset, body) for offset, body in enumerate(bodies)))


@golden(Path(__file__).parent / "cases")
def test_cases(case: Case) -> None:
    """Each folder of `cases`: messages in, rows and dead letters out."""
    case.check(Acme)


def test_the_documents_are_true() -> None:
    """Sample and README show every option as it is declared."""
    check_sample(Acme, ROOT / "sample.yaml")
    check_readme(Acme, ROOT / "README.md")
