"""What a plugin's author may get wrong is a finding, never a crash."""

from typing import Any

import pytest

from kit.toys import VALID, Split, SplitOptions, Tap, Tub, TubOptions
from stockifyd.api import Batch, Tables, Transform
from stockifyd.registry import Problem, Registry
from stockifyd.spec import loads


class KeyErrorOptions(SplitOptions, frozen=True, kw_only=True):
    """Raises what is not a ValueError."""

    def __post_init__(self) -> None:
        raise KeyError("colour")


class BadOptions(Transform[KeyErrorOptions]):
    """Its options have a bug."""

    type = "split"

    def apply(self, batch: Batch) -> Batch:
        return batch


class BadTables(Split):
    """Cannot say its tables."""

    def tables(self, before: Tables) -> Tables:
        return 3  # type: ignore[return-value]


class BadConstructor(Split):
    """Cannot be made."""

    def __init__(self, config: SplitOptions, context: Any) -> None:
        raise RuntimeError("not\ntoday")


class BadWants(Tub):
    """Cannot say what it wants."""

    def wants(self) -> Tables:
        raise IndexError("nothing here")


@pytest.mark.parametrize(
    ("split", "tub", "path", "fact"),
    [
        (BadOptions, Tub, "transforms[0]", "'split' fails on these options: KeyError: 'colour'"),
        (BadTables, Tub, "transforms[0]", "'split' cannot say its tables: TypeError: 'int' object is not iterable"),
        (BadConstructor, Tub, "transforms[0]", "'split' cannot say its tables: RuntimeError: not today"),
        (Split, BadWants, "sinks[0]", "'tub' cannot say its tables: IndexError: nothing here"),
    ],
)
def test_bugs(split: type[Transform[Any]], tub: type[Tub], path: str, fact: str) -> None:
    """A bug is a finding at its component, which says whose bug it is."""
    registry = Registry.of(Tap, split, tub, plugin="theirs", version="theirs 1.0")
    found = loads(VALID, registry).findings
    hint = "this is a bug in plugin 'theirs' (theirs 1.0): report it to its author"
    assert [(f.path, f.fact, f.hint) for f in found] == [(path, fact, hint)]


def test_options_of_a_base_class() -> None:
    """A component may take the options of its base class."""
    entry = Registry.of(BadWants).get("sink", "tub")
    assert entry is not None
    assert entry.config is TubOptions


def test_broken_plugin_is_the_reason() -> None:
    """Where a broken plugin explains a missing type, the finding says its reason."""
    problem = Problem("tub", "ImportError: no plug", "tub.py:3", "tub 2.0")
    registry = Registry.of(Tap, Split, problems=[problem])
    found = loads(VALID, registry).findings
    assert [(f.path, f.fact, f.hint) for f in found] == [
        (
            "sinks[0].type",
            "sink 'tub' is not there",
            "plugin 'tub' (tub 2.0) is skipped: ImportError: no plug [tub.py:3]. See `stockifyd plugins list`.",
        )
    ]


def test_unknown_key_hides_no_check_of_the_author() -> None:
    """Both findings come at once: the key that nobody knows, and what `__post_init__` says of the others."""
    text = VALID.replace(b"rate: 20", b"rate: 500\n  colour: red")
    found = loads(text, Registry.of(Tap, Split, Tub)).findings
    assert {(f.path, f.fact) for f in found} == {
        ("source.colour", "unknown option for source 'tap'"),
        ("source.rate", "500 is not slow, write 100 or less"),
    }
