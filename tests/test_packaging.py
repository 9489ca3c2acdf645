"""What is built is what is here: wheel and editable install, with a stranger's plugins beside them, in a fresh environment."""

import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.environments import ROOT, Environment, fresh, run

STRANGERS = tuple(sorted(path.parent.name for path in (ROOT / "examples").glob("*/pyproject.toml")))
NOT_SHIPPED = {"__pycache__", ".mypy_cache"}

pytestmark = pytest.mark.slow

BROKEN = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "stockifyd-broken"
version = "6.6.6"

[project.entry-points.stockifyd]
broken = "stockifyd_broken"

[tool.hatch.build.targets.wheel]
only-include = ["stockifyd_broken.py"]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel, with strangers' plugins, and one more that is broken."""
    environment = fresh(tmp_path_factory.mktemp("installed"))
    broken = tmp_path_factory.mktemp("broken")
    (broken / "pyproject.toml").write_text(BROKEN)
    (broken / "stockifyd_broken.py").write_text("import a_module_that_nobody_has\n")
    environment.install(wheel)
    environment.install(*(ROOT / "examples" / name for name in STRANGERS), broken)
    return environment


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """This folder, with one stranger's plugin, both editable."""
    environment = fresh(tmp_path_factory.mktemp("editable"))
    environment.install("--editable", ROOT)
    environment.install("--editable", ROOT / "examples" / "stockifyd-csv")
    return environment


def shipped() -> Iterator[str]:
    """Every file of the packages, as it must lie in the wheel."""
    for base in (ROOT / "stockifyd", *(ROOT / "plugins").iterdir()):
        for path in base.rglob("*"):
            if path.is_file() and not NOT_SHIPPED & set(path.parts):
                yield str(path.relative_to(base.parent))


def test_the_wheel_has_every_file(wheel: Path) -> None:
    """Code, types, samples, READMEs and SQL: what is in the folders is in the wheel, and nothing beside it but metadata."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert sorted(shipped()) == sorted(names)


def test_the_wheel_is_of_its_platform(wheel: Path) -> None:
    """It holds what was compiled, and only where there was a compiler."""
    compiled = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(sysconfig.get_config_var("EXT_SUFFIX"))]
    assert bool(compiled) != wheel.name.endswith("-py3-none-any.whl")


def test_a_wheel_without_a_compiler(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is for every platform, holds nothing compiled, and runs."""
    monkeypatch.setenv("CC", "a-compiler-that-nobody-has")
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, cwd=next(tmp_path.glob("stockifyd-*")))
    [wheel] = tmp_path.glob("*-py3-none-any.whl")
    environment = fresh(tmp_path / "pure")
    environment.install(wheel)
    assert "postgres" in environment.stockifyd("plugins", "list")
    said = run(environment.python, "-c", "from stockifyd_postgres.encoding import encode; print(encode(['integer'], [(1,)]))")
    assert "None\n" == said


def test_the_source_distribution_has_what_a_reader_needs(built: Path) -> None:
    """Licence, README, tests and examples go along; neither environments nor caches do."""
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.split("/", 1)[1] for name in opened.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "tests/test_packaging.py", "examples/README.md"} <= names
    assert [] == [name for name in names if {".venv", ".cache", "__pycache__"} & set(Path(name).parts)]


def test_the_installed_wheel_is_used(installed: Environment) -> None:
    """The command runs from the fresh environment, not from this folder."""
    assert installed.where().is_relative_to(installed.folder)


def test_the_installed_command_says_its_version(installed: Environment) -> None:
    """`stockifyd --version` works where only the wheel is."""
    assert "stockifyd 0." in installed.stockifyd("--version")


def test_the_calendar_ships(installed: Environment, editable: Environment) -> None:
    """`audit` finds it by its name, wherever it runs."""
    code = "from stockifyd.api import Calendar; print(Calendar.load('nse').name)"
    assert {"NSE index options\n"} == {run(each.python, "-c", code, cwd=each.folder) for each in (installed, editable)}


def test_built_in_plugins_are_there(installed: Environment, editable: Environment) -> None:
    """Wheel and editable install bring the same components of ours."""
    ours = [
        [(c["role"], c["type"]) for c in environment.plugins()["components"] if c["version"].startswith("stockifyd ")]
        for environment in (installed, editable)
    ]
    assert {("source", "kafka"), ("transform", "flatten_chain"), ("sink", "postgres")} <= set(ours[0])
    assert ours[0] == ours[1]


def test_strangers_plugins_are_there(installed: Environment) -> None:
    """Distributions of others are found by their entry points, with name and version."""
    found = {(c["type"], c["version"]) for c in installed.plugins()["components"]}
    assert {(name.removeprefix("stockifyd-"), f"{name} 0.1.0") for name in STRANGERS} <= found


def test_a_strangers_promise_is_told(installed: Environment) -> None:
    """What a stranger's sink promises is read from its class."""
    promises = {c["type"]: c["guarantee"] for c in installed.plugins()["components"] if c["role"] == "sink"}
    assert promises["sqlite"] == promises["postgres"] != promises["csv"]


def test_a_strangers_plugin_is_shown(installed: Environment) -> None:
    """`plugins show` prints a stranger's options as it does ours."""
    shown = installed.stockifyd("plugins", "show", "webhook")
    assert [] == [word for word in ("url", "timeout_ms", "token", "stockifyd-webhook 0.1.0") if word not in shown]


def test_a_broken_plugin_is_named_and_skipped(installed: Environment) -> None:
    """It is told with its version and its reason, and nobody else suffers."""
    [problem] = installed.plugins()["problems"]
    assert ("broken", "stockifyd-broken 6.6.6") == (problem["plugin"], problem["version"])
    assert "a_module_that_nobody_has" in problem["reason"]


def test_a_spec_with_a_strangers_sink_is_valid(installed: Environment) -> None:
    """A pipeline names the type of a stranger's sink as it names one of ours."""
    spec = installed.folder / "mine.yaml"
    spec.write_text(
        "version: 1\nname: mine\nsource: {type: kafka, brokers: 'localhost:9092', topics: [market.enriched], group: mine}\n"
        "transforms: [{type: flatten_chain}]\nsinks: [{type: csv, path: out.csv}]\n"
    )
    assert "at least once" in installed.stockifyd("validate", str(spec)).replace("_", " ")


def test_the_installed_command_makes_a_plugin(installed: Environment) -> None:
    """The templates are in the wheel, whole: cases, types and all."""
    installed.stockifyd("plugins", "new", "transform", "halves")
    folder = installed.folder / "stockifyd-halves"
    made = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    templates = ROOT / "stockifyd/scaffold/templates"
    there = {
        str(path.relative_to(templates / place)).replace("acme", "halves")
        for place in ("common", "transform")
        for path in (templates / place).rglob("*")
        if path.is_file() and not NOT_SHIPPED & set(path.parts)
    }
    assert there == made


def test_the_editable_install_is_this_folder(editable: Environment) -> None:
    """What is edited here is what runs."""
    assert ROOT / "stockifyd" == editable.where()


def test_an_editable_stranger_is_there(editable: Environment) -> None:
    """Both may be edited side by side, and nothing is skipped."""
    listed = editable.plugins()
    assert (True, []) == ("csv" in {c["type"] for c in listed["components"]}, listed["problems"])
