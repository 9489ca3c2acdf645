"""The examples are what a stranger would publish: they pass their own tests, and their samples and READMEs are true."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
def test_its_own_tests_pass(folder: Path) -> None:
    """In a process of its own, and without pytest-asyncio: the contract needs none."""
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=60", "."]
    done = subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@each_example
def test_its_documents_are_true(folder: Path) -> None:
    """Sample and README show every option as it is declared."""
    check_sample(component(folder), folder / f"{word(folder)}.sample.yaml")
    check_readme(component(folder), folder / "README.md")
