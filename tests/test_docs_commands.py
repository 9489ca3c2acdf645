"""What docs tell to run runs: commands, specs, samples, and the plugin in README."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kit.commands import check_command
from kit.documents import ROOT, Block, blocks, marked, text_of, variables_read
from stockifyd.cases import run_files
from stockifyd.registry import Registry
from stockifyd.spec import loads
from stockifyd.testing import make, make_batch, run

REGISTRY = Registry.load(built_in=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what a reader has: pipelines, schemas, and the files that the text told to save."""
    for name in ("pipelines", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")  # else it warns
    for block in blocks():
        match block.mark.split():
            case ["python" | "yaml", name]:
                (tmp_path / name).write_text(block.text)
    return tmp_path


@pytest.mark.parametrize("block", marked("sh"), ids=str)
def test_block_runs(block: Block, clone: Path) -> None:
    """A block marked `sh` runs as it stands."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", block.text], cwd=clone, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr), done.stdout


@pytest.mark.parametrize("block", [*marked("sh by hand"), *marked("sh servers")], ids=str)
def test_block_by_hand(block: Block) -> None:
    """What is not run here has commands, flags, make targets, variables and files that are there."""
    for line in block.lines:
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", text_of("Makefile"), re.MULTILINE), line
        elif line.startswith("export "):
            assert set(re.findall(r"([A-Z_]+)=", line)) <= variables_read(), line
        elif line.startswith(".venv/bin/pytest "):
            assert all((ROOT / word).exists() for word in line.split() if word.startswith("tests/")), line
        else:
            check_command(line)


def test_no_block_goes_unchecked() -> None:
    """Every shell block of README and docs has a mark that says how it is checked."""
    # Steps, and what stays beside them: tests/test_walkthrough.py
    told = {"sh", "sh by hand", "sh servers", "sh systemd", "sh step", "sh step fails", "sh beside"}
    promised = [b for b in blocks() if b.path.name in ("README.md", "CONTRIBUTING.md") and b.path.parent == ROOT]
    promised += [b for b in blocks() if b.path.is_relative_to(ROOT / "docs")]
    shells = [b for b in promised if b.mark.split(" ")[0] in ("sh", "bash", "shell", "console")]
    assert [] == [str(block) for block in shells if block.mark not in told]


@pytest.mark.parametrize("block", [b for b in blocks() if b.mark == "yaml" and "version:" in b.text], ids=str)
def test_spec_in_text(block: Block) -> None:
    """A spec in a text validates without a finding."""
    loaded = loads(block.text.encode(), REGISTRY, file=str(block), strict=False, environ={})
    assert (True, []) == (loaded.ok, [str(finding) for finding in loaded.findings])


def test_failure_in_text(clone: Path) -> None:
    """A failing case looks as the text shows it."""
    (shown,) = [b.text for b in blocks() if b.path.name == "testing-pipelines.md" and b.text.startswith("pipelines/tests/")]
    file = clone / "pipelines" / "tests" / "readings.test.yaml"
    file.write_text(file.read_text().replace("device: a1, value: 21.5}", "device: a1, value: 22}"))
    failed = [str(f) for outcome in run_files([file], REGISTRY).outcomes for f in outcome.failures]
    assert "\n".join(failed).replace(f"{clone}/", "") == shown.rstrip()


NOWHERE = '''
from stockifyd.api import Batch, Config, Sink, hookimpl
class NoOptions(Config, frozen=True): ...
class Nowhere(Sink[NoOptions]):
    """Takes everything."""
    type = "nowhere"
    async def write(self, batch: Batch) -> None: ...
@hookimpl
def stockifyd_components():
    return [Nowhere]
'''
AROUND = {
    "version": "version: 1\n",
    "name": "name: sample\n",
    "source": "source: {type: kafka, brokers: localhost, topics: [t], group: g}\n",
    "transforms": "transforms: [{type: flatten_chain}]\n",
    "sinks": "sinks: [{type: nowhere}]\n",
    "delivery": "delivery: {dead_letters: {sink: {type: nowhere}}}\n",
}
SAMPLES = sorted((ROOT / "plugins").glob("*/*.sample.yaml"))


@pytest.mark.parametrize("bare", [False, True], ids=["as it is", "with its defaults"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_samples(sample: Path, bare: bool, tmp_path: Path) -> None:
    """A sample validates, and so it does when what is commented is let in."""
    (tmp_path / "nowhere.py").write_text(NOWHERE)
    registry = Registry.load([tmp_path / "nowhere.py"], built_in=True)
    text = sample.read_text("utf-8")
    if bare:
        text = re.sub(r"^( *)# (\w+: \S)", r"\1\2", text, flags=re.MULTILINE)
    there = yaml.safe_load(text)
    ledger = "postgres" in str(there.get("sinks"))
    around = "".join(part for key, part in AROUND.items() if key not in there and not (key == "delivery" and ledger))
    loaded = loads((text.rstrip() + "\n" + around).encode(), registry, strict=False, environ={"PASSWORD": "x"})
    told = [str(finding) for finding in loaded.findings]
    # A commented option may name a table that another transform would make.
    named = re.findall(r"^ *# \w+: (\w+)$", sample.read_text("utf-8"), flags=re.MULTILINE) if bare else []
    assert [] == [one for one in told if not any(f"no table {name!r} arrives here" in one for name in named)]


def test_plugin_of_the_readme(tmp_path: Path) -> None:
    """The plugin in README loads, says its options, and writes."""
    (block,) = [b for b in blocks() if b.mark == "python lines.py"]
    assert 20 >= len([line for line in block.text.splitlines() if line.strip()])
    (tmp_path / "lines.py").write_text(block.text)
    entry = Registry.load([tmp_path / "lines.py"]).get("sink", "lines")
    assert entry is not None

    run(make_batch(2), make(entry.component, path=str(tmp_path / "out")))
    assert (tmp_path / "out").read_text().splitlines() == ["(0, 'row 0')", "(1, 'row 1')"]
