"""`stockifyd install-units` where it does not install: printing, another folder, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stockifyd.cli import install_units
from stockifyd.cli.main import main
from stockifyd.daemon.units import NAMES


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written to this machine, whoever runs the tests."""
    monkeypatch.setattr(install_units, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(install_units, "SETTINGS", tmp_path / "settings")
    monkeypatch.setattr(install_units, "_call", lambda *command: pytest.fail(f"{command} was called"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["install-units", *map(str, arguments)])


def test_printing_writes_nothing(tmp_path: Path) -> None:
    """All units, each below the path that it would have."""
    done = call("--print", "--program", "/opt/stockifyd/bin/stockifyd")
    assert [f"# {tmp_path}/system/{name}" for name in NAMES] == [line for line in done.output.splitlines() if "system/" in line]
    assert (0, [], 2) == (done.exit_code, [*tmp_path.iterdir()], done.output.count("ExecStart=/opt/stockifyd/bin/stockifyd run"))


def test_another_folder_gets_units_alone(tmp_path: Path) -> None:
    """As for a package: neither group nor folders are made, and systemd is left alone."""
    done = call("--to", tmp_path / "package" / "units", "--program", "/usr/bin/stockifyd")
    assert (0, sorted(NAMES)) == (done.exit_code, sorted(path.name for path in (tmp_path / "package" / "units").iterdir()))
    assert [tmp_path / "package"] == [*tmp_path.iterdir()]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """Named, with what is wrong with it."""
    (tmp_path / "file").touch()
    done = call("--to", tmp_path / "file" / "units")
    assert (1, f"stockifyd: {tmp_path}/file/units: Not a directory\n  HINT: --to DIR writes elsewhere, --print nowhere\n") == (
        done.exit_code,
        done.output,
    )


def test_only_root_may(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Said before anything is written."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = call()
    expected = f"stockifyd: only root may write to {tmp_path}/system\n  HINT: call it with sudo, or see --print and --to DIR\n"
    assert (1, expected, []) == (done.exit_code, done.output, [*tmp_path.iterdir()])


def test_without_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Said too."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    done = call()
    assert (1, True, []) == (done.exit_code, "systemctl is not on this machine" in done.output, [*tmp_path.iterdir()])


def test_a_program_out_of_reach(tmp_path: Path) -> None:
    """A unit that could not start is not written."""
    program = tmp_path / "bin" / "stockifyd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    done = call("--program", program)
    assert (1, "is no program") == (done.exit_code, "is no program" if "is no program" in done.output else done.output)
    program.chmod(0o755)
    program.parent.chmod(0o700)
    done = call("--program", program)
    assert (1, False) == (done.exit_code, (tmp_path / "system").exists())
    assert "HINT: install stockifyd where every user reads it" in done.output
