"""The processes that the demo starts: each known by its pid, each ended at the end, whatever happened."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from stockifyd.api import StockifydError

STOCKIFYD = (sys.executable, "-P", "-m", "stockifyd")  # -P: nothing of the current folder is imported in its place
NOISE = "GLIBC_"  # the broker's binary looks for a newer C library, and does without
OURS = (
    *("DATABASE_", "KAFKA_", "STOCKIFYD_", "PG", "INSTANCE_ID", "TOTAL_INSTANCES"),
    *("UPSTOX_", "HISTORICAL_", "POLL_INTERVAL_SECS", "CALENDAR_FILE", "INSTRUMENTS_FILE", "RISK_FREE_RATE_PCT"),
)
POLL_SECS = 0.02


class Child:
    """A process and the file that it writes to."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, end: signal.Signals) -> None:
        self.name, self.process, self.log, self._end = name, process, log, end

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def said(self, lines: int = 12) -> str:
        """The end of what it wrote."""
        told = [line for line in self.log.read_text(errors="replace").splitlines() if NOISE not in line]
        return "\n".join(told[-lines:])

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def ask_to_end(self) -> None:
        """Send the signal by which it ends in good order."""
        if self.is_running:
            self.process.send_signal(self._end)

    def stop(self, deadline: float) -> None:
        """Ask it to end; past the deadline (by `time.monotonic`) kill it."""
        self.ask_to_end()
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self.kill()


class Children:
    """All that the demo started; ends them, last one first, when it is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:  # a second Ctrl-C must not leave servers behind
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                stack.callback(signal.signal, number, signal.signal(number, signal.SIG_IGN))
            deadline = time.monotonic() + 10
            for child in reversed(self._children):
                child.stop(deadline)

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        end: signal.Signals = signal.SIGTERM,
        **how: Any,
    ) -> Child:
        """Start a process, in a session of its own: Ctrl-C reaches the demo alone. `how` goes to Popen."""
        log = self.folder / f"{name.replace(' ', '-')}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(  # noqa: S603  commands of ours
                [str(part) for part in command],
                **{"stdout": out, **how},
                stdin=subprocess.DEVNULL,
                stderr=out,
                env=clean(os.environ) | dict(environment or {}),
                start_new_session=True,
            )
        child = Child(name, process, log, end)
        self._children.append(child)
        return child

    async def complete(self, name: str, command: Sequence[str | Path], *, secs: float = 60, **how: Any) -> str:
        """Run a command to its end and answer with what it wrote; StockifydError if it fails."""
        child = self.start(name, command, **how)
        await ended(child, secs)
        return child.said(1000)


async def ended(child: Child, secs: float = 60) -> None:
    """Wait until a child has ended; StockifydError where it failed or takes too long."""
    deadline = time.monotonic() + secs
    while child.is_running and time.monotonic() < deadline:  # noqa: ASYNC110  a thread that waits could not be cancelled
        await asyncio.sleep(POLL_SECS)
    if child.process.poll() != 0:
        raise failed(child)


def failed(child: Child) -> StockifydError:
    """A child that ended, or does not end, with its own last words."""
    code = child.process.poll()
    how = (
        "does not come to its end"
        if code is None
        else f"was killed by signal {-code}"
        if code < 0
        else f"ended with exit code {code}"
    )
    return StockifydError(f"{child.name} {how}; it said last:\n{child.said() or '(nothing)'}")


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without anything that could lead stockifyd to servers other than the demo's."""
    return {name: value for name, value in environment.items() if not name.startswith(OURS)}
