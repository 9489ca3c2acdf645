"""`stockifyd demo` before anything is started."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stockifyd.api import StockifydError
from stockifyd_demo import command, places
from stockifyd_demo.stage import Stage


def test_extra_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra: one line with the command that cures it."""
    monkeypatch.setattr(command, "PACKAGES", {"no_such_package": "no-such-package"})
    with pytest.raises(StockifydError) as raised:
        CliRunner().invoke(command.demo, [], catch_exceptions=False)
    assert "the demo needs no-such-package" == raised.value.reason
    assert "pip install 'stockifyd[demo]'" in raised.value.hint


def test_spec_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a clone it says so."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StockifydError, match=r"pipelines/storage.yaml: there is no such file"):
        CliRunner().invoke(command.demo, [], catch_exceptions=False)


def test_imports() -> None:
    """The plugin is imported at every start of stockifyd: nothing heavy with it."""
    code = "import sys, stockifyd_demo; print([m for m in ('aiokafka', 'asyncpg', 'asyncio.runners_') if m in sys.modules])"
    assert "[]\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_module() -> None:
    """`python -m stockifyd` is `stockifyd`: so the demo starts its children."""
    done = subprocess.run([sys.executable, "-P", "-m", "stockifyd", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("stockifyd ")


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The first column to the left, numbers to the right, no trailing blanks, no colour."""
    Stage().table(("underlying", "spot"), [["NIFTY", "25,000.00"], ["SENSEX", "-"]])
    expected = "   underlying       spot\n   ----------  ---------\n   NIFTY       25,000.00\n   SENSEX              -\n"
    assert expected == capsys.readouterr().out


@pytest.mark.parametrize(("mode", "is_open"), [(0o755, True), (0o711, False), (0o700, False)])
def test_open(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, *, mode: int, is_open: bool) -> None:
    """A place is open where everybody may read and enter it."""
    place = tmp_path_factory.mktemp("place")
    place.chmod(mode)
    monkeypatch.setattr(type(place), "parents", ())
    assert is_open == places.is_open(place)


def test_temporary_of_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's own TMPDIR is no place for PostgreSQL, which runs as somebody else."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert Path("/tmp") == places.temporary()


def test_temporary_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's TMPDIR is taken."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert tmp_path.resolve() == places.temporary()
