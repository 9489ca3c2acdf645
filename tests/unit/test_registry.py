"""What becomes of good, broken and clashing plugins."""

import os
from pathlib import Path
from textwrap import dedent

import pytest

from kit.toys import Tap, Tub, registry
from stockifyd.api import StockifydError
from stockifyd.registry import Registry

GOOD = """
from stockifyd.api import Config, Sink, hookimpl

class Options(Config, frozen=True):
    path: str = ""

class {name}(Sink[Options]):
    type = "{type}"
    async def write(self, batch):
        return None

@hookimpl
def stockifyd_components():
    return [{name}]
"""


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, code: str, *, dist: str = "", entry: str = "") -> None:
        dist, entry = dist or f"dist-{name}", entry or name
        (self.folder / f"{name}.py").write_text(dedent(code))
        info = self.folder / f"{dist.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[stockifyd]\n{entry} = {name}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.syspath_prepend(tmp_path)
    return Site(tmp_path)


def problems_of(loaded: Registry, plugin: str) -> list[str]:
    return [p.reason for p in loaded.problems if p.plugin == plugin]


def test_installed(site: Site) -> None:
    """An installed plugin's components are there, with plugin and version."""
    site.install("reg_good", GOOD.format(name="Pail", type="pail"))
    entry = Registry.load().get("sink", "pail")
    assert entry is not None
    assert (entry.component.__name__, entry.plugin, entry.version) == ("Pail", "reg_good", "dist-reg_good 1.0")


def test_only_built_in(site: Site) -> None:
    """`built_in` leaves out what others installed."""
    site.install("reg_foreign", GOOD.format(name="Foreign", type="foreign"))
    assert Registry.load(built_in=True).get("sink", "foreign") is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nonexistent_module_of_theirs", "ModuleNotFoundError: No module named 'nonexistent_module_of_theirs'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def (", "SyntaxError: invalid syntax"),
        ("", "it has none of the hooks"),
        ("def stockifyd_components():\n    return []", "stockifyd_components is not marked with @hookimpl"),
        (
            "from stockifyd.api import hookimpl\n@hookimpl\ndef stockifyd_component():\n    return []",
            "unknown hook 'stockifyd_component'",
        ),
        ("from stockifyd.api import hookimpl\n@hookimpl\ndef stockifyd_components(registry):\n    return []", "Plugin '"),
        (
            "from stockifyd.api import hookimpl\n@hookimpl\ndef stockifyd_components():\n    return 1 / 0",
            "ZeroDivisionError: division by zero",
        ),
        (
            "from stockifyd.api import hookimpl\n@hookimpl\ndef stockifyd_components():\n    return [3]",
            "stockifyd_components gives 3",
        ),
        (
            "from stockifyd.api import hookimpl\n@hookimpl\ndef stockifyd_components():\n    return 3",
            "TypeError: 'int' object is not iterable",
        ),
        (
            "from stockifyd.api import hookimpl\n@hookimpl\ndef stockifyd_messages():\n    return {'a': int}",
            "message 'a' is not a msgspec.Struct",
        ),
        (
            "from stockifyd.api import hookimpl\n@hookimpl\ndef stockifyd_commands(load):\n    return [1]",
            "stockifyd_commands gives 1",
        ),
        (GOOD.format(name="Bad", type="Not A Word"), "Bad.type must be a word like 'csv'"),
        (GOOD.format(name="Bad", type="bad").replace("Sink[Options]", "Sink"), "Bad: its options cannot be described"),
        (GOOD.format(name="Bad", type="bad").replace("path: str", "path: object()"), "Bad: its options cannot be described"),
        (GOOD.format(name="Bad", type="bad").replace("path: str", "name: str"), "Options: option 'name' has the name of a key"),
        (
            GOOD.format(name="Bad", type="bad").replace("async def write", "async def send"),
            "Bad does not have the method 'write'",
        ),
        (GOOD.format(name="Bad", type="bad").replace("[Bad]", "[Bad, Bad]"), "it brings sink 'bad' twice"),
    ],
)
def test_broken(site: Site, code: str, reason: str, request: pytest.FixtureRequest) -> None:
    """A broken plugin is named with its reason and skipped; the others are there."""
    name = f"reg_broken_{abs(hash(request.node.name))}"
    site.install(name, code)
    site.install(f"{name}_beside", GOOD.format(name="Beside", type="beside"))
    loaded = Registry.load()
    assert [found[: len(reason)] for found in problems_of(loaded, name)] == [reason]
    assert loaded.get("sink", "beside") is not None


def test_where(site: Site) -> None:
    """The place in the plugin's own file is named, not one of the machinery's."""
    site.install("reg_where", "x = 1\n\nraise RuntimeError('no\\nluck')")
    problem = next(p for p in Registry.load().problems if p.plugin == "reg_where")
    assert str(problem) == (
        f"plugin 'reg_where' (dist-reg_where 1.0) is skipped: RuntimeError: no luck [{site.folder / 'reg_where.py'}:3]"
    )


def test_skipped_as_a_whole(site: Site) -> None:
    """Of a plugin with one wrong class no other class is taken."""
    code = GOOD.format(name="Half", type="half") + "\nclass Wrong(Half):\n    type = 'W'\n"
    site.install("reg_half", code.replace("[Half]", "[Half, Wrong]"))
    loaded = Registry.load()
    assert loaded.get("sink", "half") is None
    assert loaded.why_missing("sink", "half").startswith("plugin 'reg_half' (dist-reg_half 1.0) is skipped: Wrong.type must be")


def test_no_shadowing(site: Site) -> None:
    """A type that a built-in has cannot be taken, though the thief's name sorts first."""
    site.install(
        "aaa_thief",
        GOOD.format(name="Kafka", type="kafka").replace("Sink", "Source").replace("async def write", "async def read"),
    )
    loaded = Registry.load()
    entry = loaded.get("source", "kafka")
    assert entry is not None
    assert (entry.plugin, problems_of(loaded, "aaa_thief")) == ("kafka", ["source 'kafka' is there already, from plugin 'kafka'"])


def test_same_name(site: Site) -> None:
    """A second plugin of the same name is a problem, not a silence."""
    site.install("reg_one", GOOD.format(name="One", type="one"), entry="same")
    site.install("reg_two", GOOD.format(name="Two", type="two"), entry="same")
    loaded = Registry.load()
    assert problems_of(loaded, "same") == ["there is a plugin 'same' already"]
    assert (loaded.get("sink", "one") is None, loaded.get("sink", "two") is None) == (False, True)


def test_why_missing_by_name(site: Site) -> None:
    """A plugin that cannot be imported explains the missing type that has its name."""
    site.install("reg_gone", "import nowhere_to_be_found", entry="gone")
    loaded = Registry.load()
    assert "No module named 'nowhere_to_be_found'" in loaded.why_missing("sink", "gone")
    assert loaded.why_missing("sink", "other") == ""


def test_messages_and_commands(site: Site) -> None:
    """Message types and commands are collected; commands get the loader of specs."""
    site.install(
        "reg_more",
        """
        import click, msgspec
        from stockifyd.api import hookimpl
        class Tick(msgspec.Struct):
            price: float
        @hookimpl
        def stockifyd_messages():
            return {"tick_of_a_test": Tick}
        @hookimpl
        def stockifyd_commands(load):
            return [click.Command("ask", callback=lambda: load("a.yaml"))]
        """,
    )
    loaded = Registry.load()
    assert loaded.messages["tick_of_a_test"].__name__ == "Tick"
    with pytest.raises(StockifydError, match=r"a\.yaml: specs cannot be loaded here"):
        loaded.commands["ask"].callback()  # type: ignore[misc]


def test_taken_commands(site: Site) -> None:
    """A plugin cannot take the name of one of our commands."""
    site.install(
        "reg_run",
        """
        import click
        from stockifyd.api import hookimpl
        @hookimpl
        def stockifyd_commands():
            return [click.Command("run")]
        """,
    )
    assert problems_of(Registry.load(taken_commands=["run"]), "reg_run") == ["command 'run' is one of stockifyd itself"]


class TestFiles:
    """Plugins given as files."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "pail-plugin.py"
        path.write_text(GOOD.format(name="Pail", type="pail"))
        path.chmod(0o644)
        return path

    def test_file(self, file: Path) -> None:
        """A file is a plugin, called by its stem, wherever it lies."""
        entry = Registry.load([file]).get("sink", "pail")
        assert entry is not None
        assert (entry.plugin, entry.version) == ("pail-plugin", str(file))

    @pytest.mark.parametrize("mode", [0o664, 0o646])
    def test_writable_by_others(self, file: Path, mode: int) -> None:
        """A file that others may write is not imported."""
        file.chmod(mode)
        assert problems_of(Registry.load([file]), "pail-plugin") == [
            f"its file may be written by others (mode {mode:o}): chmod go-w it"
        ]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    def test_of_somebody_else(self, file: Path) -> None:
        """A file of another user is not imported."""
        os.chown(file, 12345, 12345)
        assert problems_of(Registry.load([file]), "pail-plugin") == [
            "its file belongs to user 12345, not to us or root: chown it"
        ]

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there is a problem with its name."""
        assert problems_of(Registry.load([tmp_path / "nope.py"]), "nope") == [f"{tmp_path}/nope.py: there is no such file"]

    def test_stale_bytecode_is_not_read(self, file: Path) -> None:
        """What lies in __pycache__ is nobody's business: the checked text is what runs."""
        Registry.load([file])
        assert not (file.parent / "__pycache__").exists()


def test_of() -> None:
    """A registry of given classes finds them by role and type."""
    entry = registry().get("sink", "tub")
    assert entry is not None
    assert entry.component is Tub
    assert registry().get("source", "tub") is None
    assert registry().types("source") == ("radio", "tap")


def test_of_wrong_class() -> None:
    """Given what is no component it says so."""
    with pytest.raises(TypeError):
        Registry.of(Tap, int)  # type: ignore[arg-type]
