"""Runs facts of a contract against components with one fault each, and says which facts fail."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Row, Unavailable
from stockifyd.testing import MemoryStore

Faults = list[tuple[type[Any], str]]
"""A faulty component, and the facts that find it, with blanks between."""


def facts_of(contract: type[Any]) -> set[str]:
    """The names of a contract's facts."""
    return {name.removeprefix("test_") for name in dir(contract) if name.startswith("test_")}


def failures(contract: Any, tmp_path: Path, facts: Iterable[str] | None = None) -> set[str]:
    """Which of these facts (default: of all) fail, each on a fresh far side."""
    return {name for name in facts or facts_of(type(contract)) if _fails(contract, name, tmp_path)}


def uncaught(contract: Any, tmp_path: Path, facts: str) -> set[str]:
    """Of the facts that must find a fault, those that do not; of the sound component (no facts), those that fail."""
    if not facts:
        return failures(contract, tmp_path)
    contract.patience_secs = 0.5
    return set(facts.split()) - failures(contract, tmp_path, facts.split())


def _fails(contract: Any, name: str, tmp_path: Path) -> bool:
    folder = tmp_path / name
    folder.mkdir()
    test = getattr(contract, f"test_{name}")
    contract.fresh()
    try:
        test(**({"tmp_path": folder} if "tmp_path" in inspect.signature(test).parameters else {}))
    except pytest.skip.Exception:
        return False
    except (Exception, pytest.fail.Exception):  # noqa: BLE001  # whatever it is, the fact failed
        return True
    return False


class Hooks:
    """A store for each fact."""

    store: MemoryStore
    in_process = True

    def fresh(self) -> None:
        self.store = MemoryStore()

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"store": self.store.name}

    def stored(self, sink: Any) -> list[Row]:
        return self.store.rows.get("options", [])

    def dead_letters(self, sink: Any) -> list[tuple[int, str]]:
        return [(letter.message.position.offset, letter.reason) for letter in self.store.dead_letters]

    def break_it(self, component: Any) -> None:
        self.store.unreachable = Unavailable("away")

    def mend_it(self, component: Any) -> None:
        self.store.unreachable = None
        self.store.slow_secs = 0

    def slow_it(self, component: Any) -> None:
        self.store.slow_secs = 0.001

    def bad_row(self) -> Row:
        self.store.reject_row = lambda row: row[0] == -1
        return -1, "bad"
