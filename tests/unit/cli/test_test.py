"""`stockifyd test`: what it prints, and its exit codes."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from stockifyd.cli.main import main
from stockifyd.cli.settings import Settings
from unit.cases.toys import REGISTRY, case, write_cases, write_spec


def call(*args: object) -> Result:
    settings = Settings()
    settings.__dict__["registry"] = REGISTRY
    return CliRunner().invoke(main, ["test", *map(str, args)], obj=settings)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one case that passes and one that fails."""
    write_spec(tmp_path)
    fails = case({"tables": {"items": {"rows": [{"name": "a"}, {"name": "z"}]}}})
    return write_cases(tmp_path, case({}), {**fails, "name": "two"})


def test_passed(file: Path) -> None:
    """All passed: exit 0."""
    done = call(file, "-k", "one")
    assert (done.exit_code, done.stderr, done.stdout) == (
        0,
        "",
        f"{file}: pipeline 'shop'\n  passed  one\n1 case, 1 passed, 0 failed\n",
    )


def test_failed(file: Path) -> None:
    """One failed: exit 1, with its place, what differs, and both sides."""
    done = call(file)
    assert (done.exit_code, done.stdout.splitlines()) == (
        1,
        [
            f"{file}: pipeline 'shop'",
            "  passed  one",
            "  failed  two",
            f"{file}:49:17: cases[1].expect.tables.items.rows[1].name: expected z, found b",
            "           name",
            "      [0]  a",
            "    - [1]  z",
            "    + [1]  b",
            "           ^",
            "2 cases, 1 passed, 1 failed",
        ],
    )


def test_bad_file(file: Path) -> None:
    """A bad file: exit 78; what else there is runs."""
    (file.parent / "bad.test.yaml").write_text("version: 1\npipeline: shop\ncases: 5\n")
    done = call(file.parent, "-k", "one")
    assert (done.exit_code, done.stdout.splitlines()) == (
        78,
        [
            f"{file.parent}/bad.test.yaml",
            f"{file.parent}/bad.test.yaml:3:8: cases: expected a list, got '5'",
            f"{file}: pipeline 'shop'",
            "  passed  one",
            "1 case, 1 passed, 0 failed, 1 bad file",
        ],
    )


def test_nothing_to_run(tmp_path: Path, file: Path) -> None:
    """No file, or no case of that name: exit 78, for a green CI would be a lie."""
    (tmp_path / "empty").mkdir()
    done = call(tmp_path / "empty")
    assert (done.exit_code, done.stderr) == (
        78,
        f"stockifyd: there are no test files in {tmp_path}/empty\n  HINT: a test file is called NAME.test.yaml\n",
    )
    done = call(file, "-k", "three", "-k", "four")
    assert (done.exit_code, done.stderr) == (78, "stockifyd: no case has 'three' or 'four' in its file or name\n")


def test_default(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word: the folder `pipelines`."""
    (file.parent / "here").mkdir()
    file.parent.joinpath("here", "pipelines").symlink_to(file.parent, target_is_directory=True)
    monkeypatch.chdir(file.parent / "here")
    assert call("-k", "one").stdout.splitlines()[0] == "pipelines/shop.test.yaml: pipeline 'shop'"


def test_json_and_junit(file: Path, tmp_path: Path) -> None:
    """For scripts one document, for CI a file; the exit code stays."""
    done = call("--json", "--junit", tmp_path / "out.xml", file)
    document = json.loads(done.stdout)
    assert (done.exit_code, document["ok"], len(document["files"][0]["cases"])) == (1, False, 2)
    assert ET.parse(tmp_path / "out.xml").getroot().get("failures") == "1"


def test_junit_that_cannot_be_written(file: Path, tmp_path: Path) -> None:
    """A place that cannot be written is told, and nothing is taken for passed."""
    done = call("--junit", tmp_path / "no" / "out.xml", "-k", "one", file)
    assert (done.exit_code, "no such file or directory" in done.stderr) == (1, True)
