"""How long faults go on, and the table of what was seen."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LINES = pytest.StashKey[list[str]]()
SECS = float(os.environ.get("STOCKIFYD_FAULT_SECS") or "20")
long_form = pytest.mark.skipif(SECS <= 20, reason="of the long form: `make faults`")
"""Marks what `make test` has no time for."""
HEADER = f"{'fault':<44} {'runs':>4} {'secs':>6} {'seed':>10}  seen"


@dataclass
class Sight:
    """What a fault's test saw: filled by the test, printed at the end."""

    seed: int
    runs: int = 1
    figures: dict[str, object] = field(default_factory=dict)

    def note(self, **figures: object) -> None:
        self.figures |= figures
        print(f"seed {self.seed}:", ", ".join(f"{name} {value}" for name, value in figures.items()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.path.name not in ("test_oracles.py", "test_proxy.py"):
            item.add_marker(pytest.mark.faults)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := terminalreporter.config.stash.get(LINES, []):
        terminalreporter.section("faults")
        terminalreporter.write_line(HEADER)
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def fault_secs() -> float:
    """How long a fault goes on that may go on: 20 s, or STOCKIFYD_FAULT_SECS."""
    return SECS


@pytest.fixture
def sight(seed: int, request: pytest.FixtureRequest) -> Iterator[Sight]:
    """Notes for the table at the end."""
    print(f"seed {seed}: repeat it with STOCKIFYD_SEED={seed}")
    found, began = Sight(seed), time.monotonic()
    yield found
    failed = getattr(request.node, "failed_call", False)
    seen = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.figures.items())
    line = f"{request.node.name.removeprefix('test_'):<44.44} {found.runs:>4} {time.monotonic() - began:>6.1f} {seed:>10}  "
    request.config.stash.setdefault(LINES, []).append(f"{line}{'FAILED ' if failed else 'ok '}{seen}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call":
        item.failed_call = report.failed  # type: ignore[attr-defined]
    return report
