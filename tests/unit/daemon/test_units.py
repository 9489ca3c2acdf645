"""The unit files: which there are, what they start, and whether they could."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stockifyd.daemon.units import NAMES, out_of_reach, units

ROOT = Path(__file__).parents[3]


def test_the_folder_shows_the_units() -> None:
    """`systemd/` has the very files that are installed, and a README."""
    there = {path.name: path.resolve() for path in (ROOT / "systemd").iterdir() if path.suffix != ".md"}
    assert {name: ROOT / "stockifyd" / "daemon" / "systemd" / name for name in NAMES} == there


def test_both_services_are_alike() -> None:
    """One for a pipeline, one for a folder: no protection is in one of them alone."""
    single, folder = (units(Path("/stockifyd"))[name].splitlines() for name in NAMES[:2])
    differ = {line.partition("=")[0] for line in {*single} ^ {*folder} if not line.startswith("#")}
    assert {"Description", "ExecStart", "Environment", "RuntimeDirectory", "StateDirectory", "WorkingDirectory"} == differ


@pytest.mark.parametrize(
    ("program", "word"),
    [("/opt/stockifyd/bin/stockifyd", "/opt/stockifyd/bin/stockifyd"), ("/opt/100 %/stockifyd", '"/opt/100 %%/stockifyd"')],
)
def test_a_unit_starts_the_program(program: str, word: str) -> None:
    """In ExecStart and in ExecReload, as systemd reads words."""
    text = units(Path(program))["stockifyd@.service"]
    assert f"ExecStart={word} run --instance %i\n" in text
    assert f"ExecReload={word} reload --resume\n" in text


@pytest.mark.parametrize("home", ["/root/.local/bin", "/home/dev/.venv/bin", "/tmp/x"])
def test_homes_are_not_seen(home: str) -> None:
    """ProtectHome and PrivateTmp take them away."""
    assert out_of_reach([Path(home, "stockifyd")]).endswith(", of which a unit sees nothing")


def test_a_closed_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is behind a link counts, not the link."""
    monkeypatch.setattr("stockifyd.daemon.units.HIDDEN", ())
    with TemporaryDirectory(dir="/tmp") as folder:  # pytest's own is closed, to begin with
        Path(folder).chmod(0o755)
        closed, link = Path(folder, "closed", "stockifyd"), Path(folder, "link")
        closed.parent.mkdir(mode=0o750)
        closed.touch()
        link.symlink_to(closed)
        assert f"{closed} is in {closed.parent}, which is closed to other users" == out_of_reach([link])


def test_what_everybody_reaches_is_fine() -> None:
    """Programs of the machine are."""
    assert "" == out_of_reach([Path("/usr/bin/env")])
