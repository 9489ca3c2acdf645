"""The examples are what a stranger would publish: they pass their own tests, and their samples and READMEs are true."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from stockifyd.api import config_type, configure
from stockifyd.registry import Registry

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
each_example = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def word(folder: Path) -> str:
    return folder.name.removeprefix("stockifyd-")


def options_of(folder: Path, *, commented: bool) -> dict[str, Any]:
    """The options in an example's sample; those that are commented out too, if asked."""
    text = (folder / f"{word(folder)}.sample.yaml").read_text()
    text = re.sub(r"^( +)# (\w+: \S+)$", r"\1\2", text, flags=re.MULTILINE) if commented else text
    [sink] = yaml.safe_load(text)["sinks"]
    assert sink.pop("type") == word(folder)
    options: dict[str, Any] = sink
    return options


def component(folder: Path) -> type[Any]:
    registry = Registry.load([folder / f"stockifyd_{word(folder)}.py"])
    entry = registry.get("sink", word(folder))
    assert entry is not None, registry.problems
    return entry.component


@each_example
def test_its_own_tests_pass(folder: Path) -> None:
    """In a process of its own, and without pytest-asyncio: the contract needs none."""
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=60", "."]
    done = subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@each_example
def test_its_sample_is_true(folder: Path) -> None:
    """The sample fits the options, and what is commented out is the default or a secret."""
    kind = component(folder)
    shown, all_of_them = options_of(folder, commented=False), options_of(folder, commented=True)
    config = configure(kind, shown)
    assert set(all_of_them) == set(config_type(kind).__struct_fields__)
    hidden = {name: value for name, value in all_of_them.items() if name not in shown and not str(value).startswith("${")}
    assert hidden == {name: getattr(config, name) for name in hidden}


@each_example
def test_every_option_is_described(folder: Path) -> None:
    """Each option has a description where it is declared, and a line in the README."""
    kind = config_type(component(folder))
    [schema] = msgspec.json.schema_components([kind], schema_hook=lambda _: {"type": "string"})[1].values()
    readme = (folder / "README.md").read_text()
    properties = schema["properties"]
    assert [name for name, about in properties.items() if "description" not in about or f"| `{name}` |" not in readme] == []
