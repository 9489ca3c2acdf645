"""`stockifyd migrate --load`: rows of a file in a table, by its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from kit.fixtures_postgres import Database
from kit.postgres_sink import components, make_sink
from stockifyd.api import Drift
from stockifyd_postgres.commands import migrate_command
from stockifyd_postgres.reference import Reference

SHIPPED = Path(__file__).parents[3] / "pipelines" / "reference" / "instruments.yaml"
TABLES = {"options": {"into": "option_contracts", "on_conflict": "ignore"}}


def loaded(database: Database, spec: Path, asked: str) -> str:
    """What it said; raises what it raised."""
    spec.write_text("version: 1\n")
    command = migrate_command(lambda _: components(make_sink(database, tables=TABLES)))
    result = CliRunner().invoke(command, [str(spec), "--url", database.owner_url, "--load", asked])
    if result.exception:
        raise result.exception
    return result.output


def test_instruments_that_ship(database: Database, tmp_path: Path) -> None:
    """The file beside the pipelines is the table; a second time nothing changes; a revised lot is updated, no row goes."""
    first, again = (loaded(database, tmp_path / "spec", f"instruments={SHIPPED}") for _ in range(2))
    assert "5 rows of" in first
    assert "5 new or changed" in first
    assert "0 new or changed" in again
    revised = tmp_path / "revised.yaml"
    revised.write_text("version: 1\ninstruments:\n- {symbol_id: 13, symbol: NIFTY, lot_size: 50, exchange: null}\n")
    assert "1 new or changed" in loaded(database, tmp_path / "spec", f"public.instruments={revised}")
    ask = (
        "SELECT symbol, exchange, segment, lot_size, tick_size, is_active FROM instruments WHERE symbol_id IN (13, 51) ORDER BY 1"
    )
    assert database.sql(ask).splitlines() == ["NIFTY||OPTIDX|50|0.05|t", "SENSEX|BSE|OPTIDX|20|0.05|t"]
    assert database.sql("SELECT count(*) FROM instruments") == "5"


def test_a_symbol_called_no(database: Database, tmp_path: Path) -> None:
    """What a scalar means is decided by the column: neither YAML's booleans nor its octal numbers get in the way."""
    (tmp_path / "f").write_text("version: 1\ninstruments:\n- {symbol_id: 010, symbol: NO, is_active: no}\n")
    loaded(database, tmp_path / "spec", f"instruments={tmp_path / 'f'}")
    assert database.sql("SELECT symbol_id, symbol, is_active FROM instruments") == "10|NO|f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\ninstruments:\n- {symbol: NIFTY}\n", "'symbol_id' of the key"),
        ("version: 1\ninstruments:\n- {symbol_id: 13, symbol: NIFTY, lots: 3}\n", "lots"),
        ("version: 1\ninstruments:\n- {symbol_id: thirteen, symbol: NIFTY}\n", "integer"),
    ],
)
def test_rows_that_do_not_fit(database: Database, tmp_path: Path, text: str, expected: str) -> None:
    """A column that is not there, a key that is missing, a value of another type: nothing is migrated, and it is said."""
    (tmp_path / "f").write_text(text)
    with pytest.raises(Exception, match=expected):
        loaded(database, tmp_path / "spec", f"instruments={tmp_path / 'f'}")
    assert database.sql("SELECT to_regclass('instruments') IS NULL") == "t"


def test_a_table_that_is_not_there(database: Database, tmp_path: Path) -> None:
    """Is named."""
    (tmp_path / "f").write_text("version: 1\nspots:\n- {a: 1}\n")
    with pytest.raises(Drift, match='"spots" is not there'):
        loaded(database, tmp_path / "spec", f"spots={tmp_path / 'f'}")


@pytest.mark.parametrize(
    ("asked", "text", "expected"),
    [
        ("instruments", "", "names no table or no file"),
        ("=F", "", "names no table or no file"),
        ("instruments=none.yaml", "", "cannot be read"),
        ("instruments=F", "{", "no YAML"),
        ("instruments=F", "- 1\n", "no `version: 1`"),
        ("instruments=F", "version: 2\ninstruments: [{a: 1}]\n", "no `version: 1`"),
        ("instruments=F", "version: 1\nothers: [{a: 1}]\n", "a list 'instruments'"),
        ("instruments=F", "version: 1\ninstruments: []\n", "a list 'instruments'"),
        ("instruments=F", "version: 1\ninstruments: [{a: [1]}]\n", r"instruments\[0\]\.a: a list"),
    ],
)
def test_files_that_are_none(tmp_path: Path, asked: str, text: str, expected: str) -> None:
    """A file that is not there, or not of the form, is named with what it should hold."""
    path = tmp_path / "f.yaml"
    path.write_text(text)
    with pytest.raises(Drift, match=expected):
        Reference.read(asked.replace("F", str(path)))
