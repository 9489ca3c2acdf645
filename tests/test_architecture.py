"""The house's rules: who may import whom, what a plugin's folder holds, and how big things get."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from stockifyd import api
from stockifyd.registry import Registry

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PLUGINS = sorted(path for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").exists())
SOURCES = sorted(path for folder in ("stockifyd", "plugins", "examples") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_MEDIAN_LINES = 8
MAX_PARAMETERS = 5
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "handle", "process"}

WAIVERS: dict[str, str] = {}
"""What a rule is waived for: `path` or `path:function`, and the reason."""

Function = ast.FunctionDef | ast.AsyncFunctionDef

each_plugin = pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[tuple[str, Function]]:
    """Functions and methods of a file, by `path:name`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield f"{name_of(path)}:{node.name}", node


def length(function: Function) -> int:
    """Lines of a function, without its decorators and its docstring."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (function.end_lineno or 0) - body[0].lineno + 2


def test_imports_point_down() -> None:
    """The contracts of import-linter hold."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_kit_for_authors_sees_only_the_api() -> None:
    """`stockifyd.testing` imports nothing else of stockifyd, but for the door to the runner of test files."""
    found = [
        f"{name_of(path)}: {node.module}"
        for path in sorted((ROOT / "stockifyd" / "testing").rglob("*.py"))
        if name_of(path) != "stockifyd/testing/cases.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stockifyd")
        if not (node.module or "").startswith(("stockifyd.api", "stockifyd.testing"))
    ]
    assert [] == found


@each_plugin
def test_a_plugin_sees_only_the_api(folder: Path) -> None:
    """No plugin reaches behind `stockifyd.api`: what it needs, a stranger's plugin can have too."""
    found = [
        f"{name_of(path)}: {node.module}"
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "stockifyd"
        if node.module != "stockifyd.api"
    ]
    assert [] == found


@each_plugin
def test_a_plugin_is_packaged(folder: Path) -> None:
    """Its folder is in the wheel, its entry point is there, and import-linter watches it."""
    name = folder.name
    assert f"plugins/{name}" in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert name in PROJECT["project"]["entry-points"]["stockifyd"].values()
    linter = PROJECT["tool"]["importlinter"]
    watched = [
        linter["root_packages"],
        *(c.get("source_modules", []) + c.get("forbidden_modules", []) for c in linter["contracts"][1:3]),
    ]
    assert all(name in modules for modules in [*watched, linter["contracts"][3]["modules"]])


@each_plugin
def test_a_plugin_is_documented(folder: Path) -> None:
    """It has a README, types for its users, and a sample where it brings components."""
    brings = {
        entry.type for entry in Registry.load(built_in=True).entries if entry.component.__module__.split(".")[0] == folder.name
    }
    missing = [name for name in ("README.md", "py.typed") if not (folder / name).exists()]
    samples = {path.name.removesuffix(".sample.yaml") for path in folder.glob("*.sample.yaml")}
    assert ([], brings) == (missing, samples)


def test_every_built_in_plugin_registers() -> None:
    """Each entry point loads, brings something, and nothing is skipped."""
    registry = Registry.load(built_in=True)
    assert [] == [str(problem) for problem in registry.problems]
    brought = {entry.plugin for entry in registry.entries} | {
        c.callback.__module__.split(".")[0] for c in registry.commands.values() if c.callback
    }
    points = PROJECT["project"]["entry-points"]["stockifyd"]
    assert [] == [name for name, module in points.items() if not {name, module} & brought]


def test_every_component_is_under_contract() -> None:
    """For every built-in, and for every example, there is a class of tests that inherits its role's contract."""
    texts = "\n".join(path.read_text() for place in ("plugins", "integration") for path in (ROOT / "tests" / place).rglob("*.py"))
    kept = set(re.findall(r"^class \w+\((?:\w+, )*\w+Contract\[(\w+)\]\):", texts, re.MULTILINE))
    assert [] == [e.component.__name__ for e in Registry.load(built_in=True).entries if e.component.__name__ not in kept]
    examples = [path.parent for path in (ROOT / "examples").glob("*/pyproject.toml")]
    assert [] == [
        f.name for f in examples if not re.search(r"Contract\[\w+\]\):", "".join(p.read_text() for p in f.glob("test_*.py")))
    ]


def test_files_are_small() -> None:
    """No file has more than 400 lines."""
    found = {name_of(path): len(path.read_text().splitlines()) for path in [*SOURCES, *TESTS]}
    assert {} == {name: lines for name, lines in found.items() if lines > MAX_LINES and name not in WAIVERS}


def test_functions_are_small() -> None:
    """No function has more than 40 lines; half of them have no more than eight."""
    lengths = {name: length(function) for path in SOURCES for name, function in functions(path)}
    assert {} == {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES and name not in WAIVERS}
    assert median(lengths.values()) <= MAX_MEDIAN_LINES


def test_functions_take_few_arguments() -> None:
    """Five parameters at most."""
    found = {
        name: sum(arg.arg not in {"self", "cls"} for arg in [*a.posonlyargs, *a.args, *a.kwonlyargs])
        for path in SOURCES
        for name, function in functions(path)
        for a in [function.args]
        if not any(".command" in ast.unparse(decorator) for decorator in function.decorator_list)  # a user's options
    }
    assert {} == {name: count for name, count in found.items() if count > MAX_PARAMETERS and name not in WAIVERS}


def test_names_say_something() -> None:
    """No module, class or function has one of the names that say nothing."""
    modules = [name_of(path) for path in SOURCES if path.stem in FORBIDDEN_NAMES]
    named = [
        f"{name_of(path)}: {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, Function | ast.ClassDef) and node.name.lower().strip("_") in FORBIDDEN_NAMES
    ]
    assert [] == modules + named


def test_the_kit_hides_no_module_of_pythons() -> None:
    """Some of the kit runs as scripts: the folder comes first there, and a `platform.py` in it would be everybody's."""
    assert [] == [path.name for path in TESTS if path.parent.name == "kit" and path.stem in sys.stdlib_module_names]


def test_modules_open_with_a_sentence() -> None:
    """Each module, of tests too, says in its first line what it is responsible for."""
    assert [] == [
        name_of(p) for p in [*SOURCES, *TESTS] if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))
    ]


def test_each_test_names_a_fact() -> None:
    """A test has a docstring of its own."""
    found = [name for path in TESTS for name, f in functions(path) if f.name.startswith("test_") and not ast.get_docstring(f)]
    assert [] == found


def test_no_test_is_skipped_without_a_reason() -> None:
    """`skip` and `skipif` say why."""
    bare = [
        f"{name_of(path)}:{node.lineno}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"pytest.skip", "pytest.mark.skip", "pytest.mark.skipif"}
        if not node.keywords and len(node.args) < (2 if "skipif" in ast.unparse(node.func) else 1)
    ]
    assert [] == bare


def test_what_is_public_is_documented() -> None:
    """Every class of the API, and every public method, has a docstring: it is the contract."""
    missing = [
        f"{name}.{attribute}" if attribute else name
        for name in api.__all__
        if isinstance(kind := getattr(api, name), type)
        for attribute, member in {"": kind, **vars(kind)}.items()
        if not attribute.startswith("_") and (callable(member) or isinstance(member, property | classmethod))
        if kind.__module__.startswith("stockifyd.") and not getattr(member, "__doc__", None)
    ]
    assert [] == missing


def test_the_waivers_are_needed() -> None:
    """A waiver names what exists, and has a reason."""
    known = {name_of(path) for path in [*SOURCES, *TESTS]} | {name for path in SOURCES for name, _ in functions(path)}
    assert [] == [name for name, reason in WAIVERS.items() if name not in known or not reason]
