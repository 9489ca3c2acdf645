"""The examples are what a stranger would publish: they pass their own tests, and their samples and READMEs are true."""

from pathlib import Path
from typing import Any

import pytest

from kit.environments import Environment, run
from stockifyd.registry import Registry
from stockifyd.testing import check_readme, check_sample

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
each_example = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def word(folder: Path) -> str:
    return folder.name.removeprefix("stockifyd-")


def component(folder: Path) -> type[Any]:
    registry = Registry.load([folder / f"stockifyd_{word(folder)}.py"])
    found = [entry.component for entry in registry.entries if entry.type == word(folder)]
    assert found, registry.problems
    return found[0]


@each_example
def test_its_own_tests_pass(folder: Path, workshop: Environment, tmp_path: Path) -> None:
    """Of the distribution that is installed beside stockifyd, in a process of its own, and without pytest-asyncio."""
    workshop.install(folder)
    where = run(workshop.python, "-c", f"import stockifyd_{word(folder)} as it; print(it.__file__)", cwd=tmp_path)
    assert Path(where).is_relative_to(workshop.folder)
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-o", "faulthandler_timeout=60")
    run(workshop.python, "-m", "pytest", *options, folder, cwd=tmp_path, environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})


@each_example
def test_its_documents_are_true(folder: Path) -> None:
    """Sample and README show every option as it is declared."""
    check_sample(component(folder), folder / f"{word(folder)}.sample.yaml")
    check_readme(component(folder), folder / "README.md")
