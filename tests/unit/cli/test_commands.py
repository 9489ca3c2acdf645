"""Commands that need no network."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from kit.toys import VALID, registry
from stockifyd import __version__
from stockifyd.api import Unavailable
from stockifyd.cli.main import main
from stockifyd.cli.settings import Settings
from stockifyd.registry import Problem, Registry


@pytest.fixture
def settings() -> Settings:
    one = Settings()
    one.__dict__["registry"] = registry()
    return one


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "bath.yaml"
    path.write_bytes(VALID)
    return path


def call(settings: Settings | None, *args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args], obj=settings)


def test_version() -> None:
    """`--version` prints one line."""
    assert call(None, "--version").output == f"stockifyd {__version__}\n"


def test_version_loads_no_plugin() -> None:
    """`--version` imports neither the API nor a plugin: it is asked by scripts."""
    code = (
        "import sys\nfrom stockifyd.cli.main import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in sys.modules if m.startswith(('stockifyd.api', 'stockifyd_', 'jsonschema', 'msgspec'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


class TestValidate:
    """`stockifyd validate`."""

    def test_valid(self, settings: Settings, spec: Path) -> None:
        """A valid spec: its promise in plain words, exit 0."""
        done = call(settings, "validate", spec)
        promise = "exactly once: rows and offsets in one transaction"
        assert (done.exit_code, done.output) == (
            0,
            f"{spec}: pipeline 'bath' promises {promise}\n  sink 'tub': {promise}\n1 spec, 0 errors, 0 warnings\n",
        )

    def test_wrong(self, settings: Settings, spec: Path) -> None:
        """A wrong one: its findings, exit 1."""
        spec.write_bytes(VALID.replace(b"rate: 20", b"rate: many"))
        done = call(settings, "validate", spec)
        assert (done.exit_code, done.output.splitlines()[0]) == (1, f"{spec}:6:9: source.rate: expected an integer, got 'many'")

    def test_unset_variable_is_no_error(self, settings: Settings, spec: Path) -> None:
        """An unset variable is a warning: the variable may be set where it runs."""
        spec.write_bytes(VALID.replace(b"rate: 20", b"rate: ${SURELY_NOT_SET}"))
        done = call(settings, "validate", spec)
        assert (done.exit_code, done.output.splitlines()[-1]) == (0, "1 spec, 0 errors, 1 warning")

    def test_json(self, settings: Settings, spec: Path) -> None:
        """For scripts, one document with every finding and promise."""
        spec.write_bytes(VALID.replace(b"rate: 20", b"raet: 20"))
        done = json.loads(call(settings, "validate", "--json", spec).output)
        assert (done["ok"], done["specs"][0]["sinks"]) == (
            False,
            [{"name": "tub", "guarantee": "exactly_once", "required": True}],
        )
        assert done["specs"][0]["findings"] == [
            {
                "severity": "error",
                "line": 6,
                "column": 3,
                "path": "source.raet",
                "fact": "unknown option for source 'tap'",
                "hint": "did you mean 'rate'? See `stockifyd plugins show tap`.",
            }
        ]

    def test_folder(self, settings: Settings, spec: Path) -> None:
        """A folder stands for the specs in it."""
        assert call(settings, "validate", spec.parent).output.splitlines()[-1] == "1 spec, 0 errors, 0 warnings"


class TestSchema:
    """`stockifyd schema`."""

    def test_prints(self, settings: Settings) -> None:
        """It prints the schema of the plugins that are there."""
        assert json.loads(call(settings, "schema").output)["$defs"]["source"]["properties"]["type"]["anyOf"][0] == {
            "enum": ["radio", "tap"],
            "enumDescriptions": ["Is heard once or never.", "Drips messages."],
        }

    def test_writes(self, settings: Settings, tmp_path: Path) -> None:
        """Written and printed it is the same."""
        call(settings, "schema", "--write", tmp_path / "schemas")
        assert (tmp_path / "schemas/pipeline.schema.json").read_text() == call(settings, "schema").output


class TestPlugins:
    """`stockifyd plugins`."""

    def test_list(self, settings: Settings) -> None:
        """Every component with its role, type and plugin."""
        assert "sink      tub     Keeps a ledger. [given: ]" in call(settings, "plugins", "list").output.splitlines()

    def test_list_json(self, settings: Settings) -> None:
        """Problems are listed too."""
        settings.__dict__["registry"] = Registry([], [Problem("bad", "no luck", version="bad 1.0")])
        listed = json.loads(call(settings, "plugins", "list", "--json").output)
        assert listed == {
            "components": [],
            "problems": [{"plugin": "bad", "reason": "no luck", "where": "", "version": "bad 1.0", "brings": []}],
        }

    def test_show(self, settings: Settings) -> None:
        """Docs, guarantee, options with type, default and description, and a sample."""
        shown = call(settings, "plugins", "show", "tap").output
        for part in (
            "Drips messages.\n\nIt can be read again.\n",
            "  pipe: string, required\n      The pipe.\n",
            "  rate: integer >= 1 <= 1000, default 10\n      Messages a second.\n",
            '  mode: "fast" | "slow", default "slow"\n',
            "  password: secret | null, default null\n",
            "  source:\n    type: tap\n    pipe: main\n    # rate: 10\n",
        ):
            assert part in shown

    def test_show_nested(self, settings: Settings) -> None:
        """Options inside mappings are shown by their path."""
        options = json.loads(call(settings, "plugins", "show", "tub", "--json").output)[0]["options"]
        assert [o["name"] for o in options] == ["tables", "tables.<name>.into", "tables.<name>.columns", "limits"]

    def test_sample_is_valid(self, settings: Settings, spec: Path) -> None:
        """The sample of a source can be pasted into a spec."""
        sample = json.loads(call(settings, "plugins", "show", "tap", "--json").output)[0]["sample"]
        spec.write_text(VALID.decode().replace("source:\n  type: tap\n  pipe: main\n  rate: 20\n", sample))
        assert call(settings, "validate", spec).exit_code == 0

    def test_show_unknown(self, settings: Settings) -> None:
        """An unknown type: a suggestion, exit 1."""
        done = call(settings, "plugins", "show", "tubb")
        assert (done.exit_code, done.stderr) == (
            1,
            "stockifyd: there is no component of type 'tubb'\n  HINT: did you mean 'tub'?\n",
        )


def with_command(settings: Settings, callback: Any) -> Settings:
    command = click.Command("ask", params=[click.Argument(["spec"], default="")], callback=callback)
    loaded = registry()
    loaded.commands = {"ask": command}
    settings.__dict__["registry"] = loaded
    return settings


class TestCommandsOfPlugins:
    """Commands that plugins bring, and what happens when one fails."""

    def test_found(self, settings: Settings) -> None:
        """A command of a plugin is found and listed."""
        given = with_command(settings, lambda spec: click.echo("answer"))
        assert call(given, "ask").output == "answer\n"

    def test_stockifyd_error(self, settings: Settings) -> None:
        """An error of ours is its reason and its hint, exit 1."""

        def fail(spec: str) -> None:
            raise Unavailable("no server", hint="start it")

        done = call(with_command(settings, fail), "ask")
        assert (done.exit_code, done.stderr) == (1, "stockifyd: no server\n  HINT: start it\n")

    def test_bug(self, settings: Settings) -> None:
        """A bug is one line with its place and what to do, exit 70; no traceback."""
        done = call(with_command(settings, lambda spec: {}["x"]), "ask")
        assert (done.exit_code, done.stderr.startswith("stockifyd: KeyError: 'x' ["), "Traceback" in done.stderr) == (
            70,
            True,
            False,
        )

    def test_load(self, settings: Settings, spec: Path) -> None:
        """A command gets the components of a spec."""
        given = with_command(settings, lambda spec: click.echo(settings.components(spec).source.consumer))
        assert call(given, "ask", spec).output == "tap-main\n"

    def test_load_bad_spec(self, settings: Settings, spec: Path) -> None:
        """A bad spec ends the command with its findings on stderr and exit code 78."""
        spec.write_bytes(VALID.replace(b"rate: 20", b"rate: ${SURELY_NOT_SET}"))
        done = call(with_command(settings, lambda spec: [settings.components(spec)]), "ask", spec)
        assert (done.exit_code, done.stderr.splitlines()[0]) == (
            78,
            f"{spec}:6:9: source.rate: variable SURELY_NOT_SET is not set",
        )

    def test_unknown(self, settings: Settings) -> None:
        """An unknown command names the plugins that were skipped: it may be one of theirs."""
        settings.__dict__["registry"] = Registry([], [Problem("bad", "no luck")])
        done = call(settings, "migrat")
        assert (done.exit_code, done.stderr.splitlines()[0]) == (2, "plugin 'bad' is skipped: no luck")


SAME = """
from stockifyd.api import Config, Transform, hookimpl

class Nothing(Config, frozen=True):
    pass

class Same(Transform[Nothing]):
    '''Changes nothing.'''
    type = "same"
    def apply(self, batch):
        return batch

@hookimpl
def stockifyd_components():
    return [Same]
"""


def test_plugin_flag(tmp_path: Path) -> None:
    """`--plugin FILE` brings components; so does STOCKIFYD_PLUGINS."""
    file = tmp_path / "one_more.py"
    file.write_text(SAME)
    file.chmod(0o644)
    by_flag = call(None, "--plugin", file, "plugins", "show", "same")
    by_environment = CliRunner().invoke(main, ["plugins", "show", "same"], env={"STOCKIFYD_PLUGINS": f"{file}"})
    assert "Changes nothing." in by_flag.output
    assert by_environment.output == by_flag.output


FINITE = """
version: 1
name: finite
source: {type: generate, template: {n: "{n}"}, count: 3, rate_per_sec: 1000}
transforms: [{type: same}, {type: flatten, table: numbers, columns: {n: {type: int}}}]
sinks: [{type: stdout, table: numbers}]
delivery: {dead_letters: {sink: {type: stdout, table: dead_letters}}}
"""
BAD = {
    "imports": ("x = 1\nimport a_module_that_nobody_has\n", 0o644, "ModuleNotFoundError: No module named", ":2]"),
    "clashes": (SAME.replace('"same"', '"flatten"'), 0o644, "transform 'flatten' is there already, from plugin 'basic'", ":7]"),
    "later": ("requires_api = 99\n", 0o644, "it is for plugin API 99, and this stockifyd has API", ":1]"),
    "odd": (SAME.replace("(Transform[Nothing])", ""), 0o644, "which is not a Source, Transform or Sink class", ":13]"),
    "everybodys": (SAME.replace('"same"', '"other"'), 0o666, "its file may be written by others (mode 666): chmod go-w it", ""),
}
"""Code, mode, reason and line of plugins that cannot be used."""


def test_bad_plugins_are_named_and_the_rest_runs(tmp_path: Path) -> None:
    """Each with file and line, in the log of the daemon; a pipeline of a good plugin beside them comes to its end."""
    files = {name: tmp_path / f"{name}.py" for name in ("good", *BAD)}
    for name, (code, mode, *_) in {"good": (SAME, 0o644), **BAD}.items():
        files[name].write_text(code)
        files[name].chmod(mode)
    (tmp_path / "finite.yaml").write_text(FINITE)
    flags = [word for file in files.values() for word in ("--plugin", str(file))]
    done = subprocess.run(
        [sys.executable, "-m", "stockifyd", *flags, "run", "finite.yaml"],
        cwd=tmp_path, env={**os.environ, "STOCKIFYD_RUNTIME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (0, '{"n":0}\n{"n":1}\n{"n":2}\n') == (done.returncode, done.stdout), done.stderr
    said = [line for line in done.stderr.splitlines() if "is skipped" in line]
    for line, (name, (_, _, reason, place)) in zip(said, BAD.items(), strict=True):
        assert f"WARNING plugin '{name}' ({files[name]}) is skipped: " in line
        assert reason in line
        assert line.endswith(f"[{files[name]}{place}" if place else reason)
