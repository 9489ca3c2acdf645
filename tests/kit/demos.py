"""Demos as child processes, in a folder that must be empty again when they are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, STDOUT

ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


def start_demo(folder: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    """A demo that has its temporary files, and all else that it keeps, in this folder."""
    kept = {name: value for name, value in os.environ.items() if name != "STOCKIFYD_RECORDED_CHAINS"}
    return subprocess.Popen(
        [sys.executable, "-m", "stockifyd", *command],
        cwd=ROOT,
        env={**kept, "TMPDIR": str(folder), "HOME": str(folder), "PYTHONUNBUFFERED": "1", **environment},
        stdout=PIPE,
        stderr=STDOUT,
        text=True,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509  it sets a signal, and takes no lock
    )


def pids_of(folder: Path) -> list[int]:
    """Processes that this folder was handed to, in their command or their environment: all that the demo started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:  # it has just ended, or is somebody else's
            continue
        if str(folder).encode() in said:
            found.append(int(entry.name))
    return found


def _heed_ctrl_c() -> None:
    """As a terminal starts it: a shell that runs tests in the background has them ignore SIGINT, and so their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
