"""Test files as tests of pytest."""

from pathlib import Path

import pytest

from stockifyd.testing import pipeline_cases

PLUGIN = """
from stockifyd.api import Batch, Config, Sink, Source, hookimpl

class Nothing(Config, frozen=True):
    pass

class Well(Source[Nothing]):
    '''Is never read.'''
    type = "well"
    async def read(self, claims):
        yield []

class Drain(Sink[Nothing]):
    '''Takes everything.'''
    type = "drain"
    async def write(self, batch: Batch) -> None: ...

@hookimpl
def stockifyd_components():
    return [Well, Drain]
"""
SPEC = """
version: 1
name: shop
source: {type: well}
transforms: [{type: flatten, table: items, columns: {name: {type: text}}}]
sinks: [{type: drain}]
"""
CASES = """
version: 1
pipeline: shop
cases:
  - {name: passes, messages: [{json: {name: a}}], expect: {tables: {items: {rows: [{name: a}]}}}}
  - {name: fails, messages: [{json: {name: a}}], expect: {tables: {items: {rows: [{name: b}]}}}}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    for name, text in (("plugin.py", PLUGIN), ("shop.yaml", SPEC), ("shop.test.yaml", CASES)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644)
    return tmp_path / "plugin.py"


def test_each_case(plugin: Path) -> None:
    """Each case is one to check; one that fails says what `stockifyd test` says."""
    passes, fails = pipeline_cases(plugin.parent, plugin_files=[plugin])
    assert [str(passes), str(fails)] == ["shop.test.yaml: passes", "shop.test.yaml: fails"]
    passes.check()
    with pytest.raises(AssertionError) as raised:
        fails.check()
    assert str(raised.value).splitlines() == [
        f"{plugin.parent}/shop.test.yaml:6:90: cases[1].expect.tables.items.rows[0].name: expected b, found a",
        "           name",
        "    - [0]  b",
        "    + [0]  a",
        "           ^",
    ]


def test_a_file_that_is_not_well(plugin: Path) -> None:
    """It is one case that fails with the findings."""
    (plugin.parent / "shop.yaml").unlink()
    (case,) = pipeline_cases(plugin.parent, plugin_files=[plugin])
    with pytest.raises(AssertionError, match="there is no spec 'shop'"):
        case.check()


def test_no_file(tmp_path: Path) -> None:
    """Where there is no test file, that is said: no test would run, and nobody would notice."""
    with pytest.raises(AssertionError, match="there are no test files"):
        pipeline_cases(tmp_path)
