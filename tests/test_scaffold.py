"""`stockifyd plugins new`: what it makes passes its own tests, and what it tells to do next works."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kit.environments import ROOT, Environment
from stockifyd.cli.main import main
from stockifyd.scaffold import ROLES, class_name

each_role = pytest.mark.parametrize("role", ROLES)


def call(*args: object) -> Result:
    return CliRunner().invoke(main, ["plugins", "new", *map(str, args)])


@pytest.mark.slow
@each_role
def test_next_steps(role: str, workshop: Environment, tmp_path: Path) -> None:
    """Typed as they are printed, the steps install, test, type-check, show and validate; and nothing is skipped."""
    name = f"my_{role}2"
    told = workshop.shell(f"stockifyd plugins new {role} {name}", cwd=tmp_path)
    steps = re.findall(r"^  (\S.*)$", told, re.MULTILINE)
    assert steps == [
        f"cd stockifyd-my-{role}2",
        "pip install -e '.[test]'",
        "pytest",
        "mypy",
        f"stockifyd plugins show {name}",
        "stockifyd validate sample.yaml",
    ]
    printed = workshop.shell("\n".join(steps), cwd=tmp_path)
    assert re.search(r"^=+ [1-9]\d+ passed(, \d+ skipped)? in ", printed, re.MULTILINE), printed
    assert "Success: no issues found in 2 source files" in printed
    assert f"{name}: a {role} of plugin {name!r} (stockifyd-my-{role}2 0.1.0)" in printed
    assert [] == workshop.plugins()["problems"]


@each_role
def test_the_code_is_short(role: str) -> None:
    """A class and a method: about 20 lines, imports and blank lines apart."""
    text = (ROOT / "stockifyd/scaffold/templates" / role / "stockifyd_acme/__init__.py").read_text()
    code = [line for line in text.splitlines() if line.strip() and not line.startswith(("from ", "import ", '"""'))]
    assert len(code) <= 32


@each_role
def test_no_word_of_the_template_is_left(role: str, tmp_path: Path) -> None:
    """Neither in a file nor in a path."""
    folder = tmp_path / "stockifyd-quotes"
    assert call(role, "quotes", "--into", tmp_path).exit_code == 0
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"pyproject.toml", "README.md", "sample.yaml", "py.typed", "__init__.py", "test_quotes.py"} <= {p.name for p in files}
    left = [str(p) for p in files if re.search("acme|ROLE", f"{p.relative_to(folder)} {p.read_text()}", re.IGNORECASE)]
    assert left == [str(p) for p in files if re.search(r"\brole\b", p.read_text())]


def test_a_folder_that_is_there(tmp_path: Path) -> None:
    """It is left as it is, and named."""
    (tmp_path / "stockifyd-quotes").mkdir()
    done = call("sink", "quotes", "--into", tmp_path)
    assert (done.exit_code, list((tmp_path / "stockifyd-quotes").iterdir())) == (1, [])
    assert f"stockifyd: {tmp_path}/stockifyd-quotes is there already\n  HINT: take another name" in done.output


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    """No folder is made to put the folder in."""
    done = call("sink", "quotes", "--into", tmp_path / "nowhere")
    assert (done.exit_code, "No such file or directory" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Quotes", "'Quotes' is no name for a plugin"),
        ("my-quotes", "'my-quotes' is no name for a plugin"),
        ("2fast", "'2fast' is no name for a plugin"),
        ("../quotes", "'../quotes' is no name for a plugin"),
        ("", "'' is no name for a plugin"),
        ("q" * 41, "is no name for a plugin"),
        ("batch", "'batch' is no name for a plugin: its class would be Batch"),
        ("none", "'none' is no name for a plugin: its class would be None"),
        ("path", "'path' is no name for a plugin: its class would be Path"),
        ("postgres", "there is a sink 'postgres' already, from plugin 'postgres'"),
        ("basic", "there is a module stockifyd_basic already"),
    ],
)
def test_names(name: str, reason: str, tmp_path: Path) -> None:
    """A name that cannot be a type, a module and a class is refused with what is allowed, and nothing is made."""
    done = call("sink", name, "--into", tmp_path)
    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert reason in done.output
    assert "HINT: " in done.output


def test_a_role_that_there_is_not() -> None:
    """The roles are named."""
    done = call("lake", "quotes")
    assert (done.exit_code, "'sink', 'source', 'transform'" in done.output) == (2, True)


def test_class_names() -> None:
    """Words of a name become a class's."""
    assert [class_name(name) for name in ("quotes", "my_quotes2", "a__b_")] == ["Quotes", "MyQuotes2", "AB"]
