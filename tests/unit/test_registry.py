"""What becomes of good, broken and clashing plugins."""

import os
import re
from pathlib import Path
from textwrap import dedent

import pytest

from kit.toys import Tap, Tub, registry
from stockifyd.api import API_VERSION, StockifydError
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


def is_in(where: str, file: Path) -> bool:
    """Whether a place is a line of a file."""
    return re.fullmatch(rf"{re.escape(str(file))}:[1-9]\d*", where) is not None


def place_of(loaded: Registry, plugin: str) -> str:
    """File name and line of the one problem that a plugin has."""
    [where] = [problem.where for problem in loaded.problems if problem.plugin == plugin]
    return Path(where).name


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
        (
            "from typing import Annotated\nfrom msgspec import Meta\n"
            + GOOD.format(name="Bad", type="bad").replace("path: str", "path: Annotated[str | None, Meta(ge=1)]"),
            "Bad: its options cannot be described: Can only set `ge` on a numeric type",
        ),
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
    assert [True] == [is_in(problem.where, site.folder / f"{name}.py") for problem in loaded.problems if problem.plugin == name]
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
    assert place_of(loaded, "aaa_thief") == "aaa_thief.py:7"


def test_same_name(site: Site) -> None:
    """A second plugin of the same name is a problem, not a silence."""
    site.install("reg_one", GOOD.format(name="One", type="one"), entry="same")
    site.install("reg_two", GOOD.format(name="Two", type="two"), entry="same")
    loaded = Registry.load()
    assert problems_of(loaded, "same") == ["there is a plugin 'same' already"]
    assert place_of(loaded, "same") == "reg_two.py:1"
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
    loaded = Registry.load(taken_commands=["run"])
    assert problems_of(loaded, "reg_run") == ["command 'run' is one of stockifyd itself"]
    assert place_of(loaded, "reg_run") == "reg_run.py:1"


def test_a_message_that_is_there_already(site: Site) -> None:
    """Two plugins cannot bring a message type of the same name; the second is skipped, at its own class."""
    code = """
        import msgspec
        from stockifyd.api import hookimpl

        class Tick(msgspec.Struct):
            price: float

        @hookimpl
        def stockifyd_messages():
            return {"tick_of_two": Tick}
        """
    site.install("reg_first", code)
    site.install("reg_second", code)
    loaded = Registry.load()
    assert problems_of(loaded, "reg_second") == ["message 'tick_of_two' is there already, from plugin 'reg_first'"]
    assert place_of(loaded, "reg_second") == "reg_second.py:5"


def test_the_plugins_own_line_is_named(site: Site) -> None:
    """A library that fails inside is not to blame: the place is the line of the plugin that called it."""
    site.install("reg_calls", "import json\n\njson.loads('{')")
    assert place_of(Registry.load(), "reg_calls") == "reg_calls.py:3"


class TestVersions:
    """Plugins that say which plugin API they are for."""

    def test_ours(self, site: Site) -> None:
        """The number that this stockifyd has is taken, and so is none."""
        site.install("reg_ours", f"requires_api = {API_VERSION}  # ours\n" + GOOD.format(name="Ours", type="ours"))
        assert Registry.load().get("sink", "ours") is not None

    @pytest.mark.parametrize("annotation", ["", ": int", ": Final[int]"])
    def test_another(self, site: Site, annotation: str) -> None:
        """Another number is refused with both, and its line."""
        site.install(
            "reg_later", f"import os\nrequires_api{annotation} = {API_VERSION + 1}\n" + GOOD.format(name="L", type="later")
        )
        loaded = Registry.load()
        assert problems_of(loaded, "reg_later") == [
            f"it is for plugin API {API_VERSION + 1}, and this stockifyd has API {API_VERSION}"
        ]
        assert (place_of(loaded, "reg_later"), loaded.get("sink", "later")) == ("reg_later.py:2", None)

    def test_before_anything_runs(self, site: Site) -> None:
        """What it imports of the other API may not be there: its version is told, not what is missing."""
        site.install("reg_newer", "from stockifyd.api import NotYetThere\n\nrequires_api = 99")
        assert problems_of(Registry.load(), "reg_newer") == [f"it is for plugin API 99, and this stockifyd has API {API_VERSION}"]

    def test_of_a_package(self, site: Site) -> None:
        """The number stands in the module that the entry point names."""
        site.install("reg_packed", "")
        (site.folder / "reg_packed.py").unlink()
        (site.folder / "reg_packed").mkdir()
        (site.folder / "reg_packed" / "__init__.py").write_text("\n\nrequires_api = 0\n")
        loaded = Registry.load()
        assert problems_of(loaded, "reg_packed") == [f"it is for plugin API 0, and this stockifyd has API {API_VERSION}"]
        assert place_of(loaded, "reg_packed") == "__init__.py:3"

    def test_no_number(self, site: Site) -> None:
        """What is no number is named."""
        site.install("reg_word", "requires_api = '1'\n" + GOOD.format(name="Word", type="word"))
        assert problems_of(Registry.load(), "reg_word") == [f"requires_api is '1': write a number, as {API_VERSION}"]

    def test_of_a_file(self, tmp_path: Path) -> None:
        """A plugin file may say it too."""
        path = tmp_path / "later.py"
        path.write_text("requires_api = 7\n" + GOOD.format(name="Later", type="later"))
        assert problems_of(Registry.load([path]), "later") == [
            f"it is for plugin API 7, and this stockifyd has API {API_VERSION}"
        ]

    def test_without_a_number(self, site: Site) -> None:
        """A name that the API does not have is told with the API there is."""
        site.install("reg_unsaid", "from stockifyd.api import NotYetThere")
        [reason] = problems_of(Registry.load(), "reg_unsaid")
        assert reason.startswith("ImportError: cannot import name 'NotYetThere' from 'stockifyd.api'")
        assert reason.endswith(f"; this stockifyd has plugin API {API_VERSION}")


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

    @pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o755, False)])
    def test_in_a_folder_of_everybody(self, file: Path, mode: int, refused: bool) -> None:
        """Where anybody may put another file in its place it is not imported; a sticky folder as /tmp is no such place."""
        file.parent.chmod(mode)
        expected = [f"anybody may put another file there: its folder has mode 777: chmod o-w {file.parent}"] if refused else []
        assert problems_of(Registry.load([file]), "pail-plugin") == expected

    def test_a_link(self, file: Path, tmp_path: Path) -> None:
        """A link does not hide who may write the file behind it."""
        (tmp_path / "link.py").symlink_to(file)
        file.chmod(0o666)
        assert problems_of(Registry.load([tmp_path / "link.py"]), "link") == [
            "its file may be written by others (mode 666): chmod go-w it"
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
        [problem] = Registry.load([tmp_path / "nope.py"]).problems
        assert (problem.reason, problem.where) == (f"{tmp_path}/nope.py: there is no such file", "")

    def test_a_folder(self, tmp_path: Path) -> None:
        """So is what cannot be read."""
        assert problems_of(Registry.load([tmp_path]), tmp_path.stem) == [f"{tmp_path}: Is a directory"]

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
