"""Which chains are sent."""

from datetime import date
from pathlib import Path

import pytest

from stockifyd.api import StockifydError
from stockifyd_demo.feed import recorded_chains
from stockifyd_demo.story import last_session


def test_recorded(tmp_path: Path) -> None:
    """Recorded chains are the JSON files of the folder that is named, in order."""
    for name in ("b.json", "a.json", "README.md"):
        (tmp_path / name).touch()
    found, _ = recorded_chains({"STOCKIFYD_RECORDED_CHAINS": str(tmp_path)})
    assert [tmp_path / "a.json", tmp_path / "b.json"] == found


def test_recorded_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them the demo goes on, and can say where it looked."""
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    assert ([], "../shared/data") == recorded_chains({})


def test_recorded_named_wrongly(tmp_path: Path) -> None:
    """A folder that somebody named and that has none is an error."""
    with pytest.raises(StockifydError, match=r"no \*.json is there"):
        recorded_chains({"STOCKIFYD_RECORDED_CHAINS": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("today", "session"),
    [("2026-11-24", "2026-11-23"), ("2026-11-23", "2026-11-20"), ("2026-11-22", "2026-11-20"), ("2026-11-21", "2026-11-20")],
)
def test_last_session(today: str, session: str) -> None:
    """The last day that is no weekend."""
    assert date.fromisoformat(session) == last_session(date.fromisoformat(today))
