"""Docs are true: what they name is there, and what is there is named."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import pytest
import yaml

from kit.commands import check_command
from kit.documents import ROOT, anchors, documents, exit_codes, links, prose, section, table, variables_read, words
from stockifyd import api
from stockifyd.api import StockifydError, configure, hooks
from stockifyd.cli.main import main
from stockifyd.daemon import http
from stockifyd.daemon.metrics import Metrics
from stockifyd.daemon.status import PartitionStatus, PipelineStatus
from stockifyd.registry import Entry, Registry
from stockifyd.runtime.state import State
from stockifyd.spec.describe import describe
from stockifyd.spec.model import Delivery
from stockifyd.testing import check_readme, check_sample

OPERATING = "docs/operating.md"
REGISTRY = Registry.load(built_in=True)
STATUS = PipelineStatus(
    "storage", "running", "", "", 1, 1, 0, 0, 0, {"db": 1}, {"db": 1}, {"db": 1}, 0, 0, {"applied": 1}, None, "", 0.0, 0.0, 1,
    None, [PartitionStatus("t", 0, 1, 1)],
)  # fmt: skip


def named(name: str, heading: str) -> set[str]:
    """What the first column of a section's table has in backticks."""
    return {word for row in table(section(name, heading)) for word in words(row[0])}


# What is there is named.


def test_environment() -> None:
    """Every variable that is read is in the table of variables, or is named beside it."""
    told = words(section(OPERATING, "Environment"))
    assert set() == variables_read() - told


def test_environment_is_not_made_up() -> None:
    """Every variable in the table is read."""
    assert set() == named(OPERATING, "Environment") - variables_read()


def test_metrics() -> None:
    """The metrics in the docs are those there are, no more and no less."""
    exposed = Metrics(lambda: [STATUS], lambda: 0.0).text().decode()
    assert named(OPERATING, "Metrics") == set(re.findall(r"^(stockifyd_\w+)(?:\{| )", exposed, re.MULTILINE))


def test_states() -> None:
    """The states in the docs are those there are, and whether one is ready is told right."""
    rows = table(section(OPERATING, "Pipeline states"))
    told = {row[0].strip("`"): row[1] for row in rows}
    assert told == {state.value: "503" if state in http.NOT_READY else "200" for state in State}


def test_exit_codes() -> None:
    """Every exit code of the program, and click's own 2 and the command line's 1."""
    told = {row[0] for row in table(section(OPERATING, "Exit codes"))}
    assert told == {str(code) for code in exit_codes() | {1, 2}} | {"128+n"}


def test_endpoints() -> None:
    """Every path that is served."""
    source = inspect.getsource(http.Http.start)
    assert named(OPERATING, "Endpoints") == set(re.findall(r'web\.get\("(/[a-z]*)"', source))


def test_commands() -> None:
    """Every command is in the table of commands."""
    told = {word.split()[0] for word in named(OPERATING, "Commands")}
    assert told == set(main.list_commands(click.Context(main)))


def test_delivery() -> None:
    """Every option of `delivery`, with its default."""
    told = {row[0].strip("`"): row[1].strip("`") for row in table(section(OPERATING, "Tuning"))}
    defaults = {name: getattr(Delivery(), name) for name in Delivery.__struct_fields__}
    assert told == {n: str(v) for n, v in defaults.items()} | {"guarantee": "the best there is", "dead_letters": "none"}


def test_hooks() -> None:
    """Every hook is in the table of hooks."""
    there = {name for name, _ in inspect.getmembers(hooks, inspect.isfunction) if name.startswith("stockifyd_")}
    assert {word.partition("(")[0] for word in named("docs/architecture.md", "Hooks")} == there


def test_errors() -> None:
    """The errors in the docs are those of the API."""
    assert named("docs/architecture.md", "Errors") == {error.__name__ for error in StockifydError.__subclasses__()}


@pytest.mark.parametrize("entry", REGISTRY.entries, ids=lambda entry: entry.type)
def test_options(entry: Entry) -> None:
    """Every option of a component is named in its plugin's README or, listed by it, in a sample beside it."""
    folder = ROOT / "plugins" / f"stockifyd_{entry.plugin}"
    readme = (folder / "README.md").read_text("utf-8")
    assert entry.type in words(readme)
    samples = [path.read_text("utf-8") for path in folder.glob("*.sample.yaml") if path.name in readme]
    told = {word for text in (readme, *samples) for word in re.findall(r"\w+", text)}
    assert [] == [option.name for option in describe(entry).options if option.name.rpartition(".")[2] not in told]


@pytest.mark.parametrize("entry", REGISTRY.entries, ids=lambda entry: entry.type)
def test_samples_and_tables_are_the_declaration(entry: Entry) -> None:
    """A sample shows every option with its declared default, and so does a README's table of options."""
    folder = ROOT / "plugins" / f"stockifyd_{entry.plugin}"
    check_sample(entry.component, folder / f"{entry.type}.sample.yaml")
    check_readme(entry.component, folder / "README.md")


@pytest.mark.parametrize("entry", REGISTRY.entries, ids=lambda entry: entry.type)
def test_generated_samples_are_valid(entry: Entry) -> None:
    """The sample that `plugins show` prints is one that the component takes, and so are the defaults it has in comments."""
    shown = describe(entry).sample
    for text in (shown, re.sub(r"^( *)# ", r"\1", shown, flags=re.MULTILINE)):
        part = yaml.safe_load(text)
        options = part["source"] if entry.role == "source" else part[f"{entry.role}s"][0]
        assert entry.type == options.pop("type")
        configure(entry.component, options)


def test_rooms() -> None:
    """Every plugin and every module of the runtime has its row in the architecture, and every room named is there."""
    told = section("docs/architecture.md", "Rooms")
    rooms = set()
    for row in table(told):
        folder, *beside = sorted(words(row[0]), key=lambda word: "/" not in word)
        place = folder if folder.startswith("plugins/") else f"stockifyd/{folder.removeprefix('stockifyd/')}"
        rooms |= {place.rstrip("/"), *(str(Path(place).parent / name) for name in beside if name.endswith(".py"))}
    assert [] == [room for room in rooms if not (ROOT / room).exists()]
    there = [*(ROOT / "plugins").glob("*/__init__.py"), *(ROOT / "stockifyd/runtime").glob("[a-z]*.py")]
    found = {str((path.parent if path.name == "__init__.py" else path).relative_to(ROOT)) for path in there}
    assert set() == found - rooms


def test_api_docstrings() -> None:
    """Every public class, method and function of the API says what it promises."""
    silent = []
    for name in (*api.__all__, "hooks"):
        thing = getattr(api, name)
        inside = [(f"{name}.{n}", m) for n, m in vars(thing).items()] if inspect.isclass(thing) or inspect.ismodule(thing) else []
        for label, part in [(name, thing), *inside]:
            told = part.fget if isinstance(part, property) else getattr(part, "__func__", part)
            ours = inspect.isfunction(told) or (inspect.isclass(told) and told.__module__.startswith("stockifyd.api"))
            if ours and not label.rpartition(".")[2].startswith("_") and not inspect.getdoc(told):
                silent.append(label)
    assert [] == silent


# What is named is there.


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links(path: Path) -> None:
    """Every link inside the project leads somewhere, and so does its anchor."""
    broken = []
    for link in links(path):
        target, _, anchor = link.partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        there = path if not target else (path.parent / target).resolve()
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(link)
    assert [] == broken


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_prose(path: Path) -> None:
    """Every `stockifyd ...` in a text is a command, with flags that it has."""
    for word in words(prose(path)):
        if re.match(r"stockifyd [a-z]", word):
            check_command(re.sub(r"[\[\]]", " ", word).replace("ls|show|retry", "ls"))


def test_records() -> None:
    """Decision records are numbered without a hole, listed in the index, and have their three sections."""
    folder = ROOT / "docs" / "adr"
    names = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert names == [link for link in links(folder / "README.md") if not link.startswith("..")]
    for name in names:
        text = (folder / name).read_text("utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], name
        assert text.startswith(f"# {int(name[:4])}. "), name


def test_records_cited_in_code() -> None:
    """A record that a comment cites is there."""
    code = [path.read_text("utf-8") for place in ("stockifyd", "plugins") for path in (ROOT / place).rglob("*.py")]
    cited = {int(number) for text in code for number in re.findall(r"\bADR (\d+)", text)}
    assert cited <= set(range(1, len(list((ROOT / "docs" / "adr").glob("[0-9]*.md"))) + 1))
