"""Demos, started by the command that the test module names DEMO, and ended with the test."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.demos import Start, start_demo


@pytest.fixture
def folder() -> Iterator[Path]:
    """For all that the demo makes; open to the user that PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="demo-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def start(folder: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts a demo; at the end asks it to end, where the test did not."""
    demos = []

    def started(*more: str, **environment: str) -> subprocess.Popen[str]:
        demos.append(start_demo(folder, *request.module.DEMO, *more, **environment))
        return demos[-1]

    yield started
    for demo in demos:
        demo.terminate()
        demo.communicate(timeout=60)
