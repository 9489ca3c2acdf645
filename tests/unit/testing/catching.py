"""Runs the facts of a contract, and says which of them fail."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Row, Unavailable
from stockifyd.testing import MemoryStore


def failures(contract: Any, tmp_path: Path) -> set[str]:
    """The facts that fail, each on a fresh far side."""
    failed = set[str]()
    for name in [name for name in dir(contract) if name.startswith("test_")]:
        test = getattr(contract, name)
        contract.fresh()
        try:
            test(**({"tmp_path": tmp_path} if "tmp_path" in inspect.signature(test).parameters else {}))
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception):  # noqa: BLE001  # whatever it is, the fact failed
            failed.add(name.removeprefix("test_"))
    return failed


class Hooks:
    store: MemoryStore

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

    def bad_row(self) -> Row:
        self.store.reject_row = lambda row: row[0] == -1
        return -1, "bad"
