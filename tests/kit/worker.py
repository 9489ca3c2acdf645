"""`stockifyd run` as a child process: its log in a file, its status page read, every signal by its pid."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("stockifyd")
ADDRESS = re.compile(r"status page on (http://\S+)")
STATUS_SECS = 2.0
Status = dict[str, Any]


def environment(**settings: str) -> dict[str, str]:
    """A child's environment: nothing of ours but where programs and the user's files are."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


class Worker:
    """One instance of a pipeline. `start` may be called again after its end; the log goes on in the same file."""

    def __init__(
        self,
        spec: Path,
        log: Path,
        *,
        settings: Mapping[str, str],
        instance: tuple[int, int] = (1, 1),
        arguments: Sequence[str] = (),
    ) -> None:
        self.spec, self.log_file = spec, log
        self.instance = instance
        self.arguments = tuple(arguments)
        self.settings = {"INSTANCE_ID": str(instance[0]), "TOTAL_INSTANCES": str(instance[1]), **settings}
        self._child: subprocess.Popen[bytes] | None = None
        self._began = 0
        self.leaving = False  # told to end by SIGTERM: it may do so at any moment

    @property
    def log(self) -> str:
        """All that it said, in all its lives."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def last_log(self) -> str:
        """What it said since its last start."""
        return self.log_file.read_bytes()[self._began :].decode(errors="replace") if self.log_file.exists() else ""

    @property
    def pid(self) -> int:
        """0 before the first start; stays after the end."""
        return self._child.pid if self._child else 0

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def peak_mib(self) -> int:
        """The most memory that it had, of a worker that runs."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1024

    @property
    def exit_code(self) -> int | None:
        """Negative: the signal it died of. None while it runs."""
        return self._child.poll() if self._child else None

    def start(self) -> Worker:
        self._began = self.log_file.stat().st_size if self.log_file.exists() else 0
        self.leaving = False
        command = [str(PROGRAM), "run", str(self.spec), "--listen", "127.0.0.1:0", *self.arguments]
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment(**self.settings), start_new_session=True, cwd=self.spec.parent
            )
        return self

    def send(self, number: signal.Signals) -> None:
        """A signal, if it still runs."""
        if self._child is not None:
            self._child.send_signal(number)
            self.leaving |= number == signal.SIGTERM

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, and gone when this returns."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    async def ended(self, within_secs: float = 60) -> int:
        """Its exit code, once it has ended; AssertionError if it does not."""
        deadline = time.monotonic() + within_secs
        while self.alive:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running after {within_secs} s; its log ends:\n{self.log[-3000:]}")
            await asyncio.sleep(0.02)
        return self.exit_code or 0

    async def stop(self, within_secs: float = 60) -> int:
        """SIGTERM, and the exit code."""
        self.thaw()
        self.send(signal.SIGTERM)
        return await self.ended(within_secs)

    async def status(self) -> Status | None:
        """Its pipeline as the status page tells it; None while there is no answer."""
        found = ADDRESS.search(self.last_log)
        if not found or not self.alive:
            return None
        return await asyncio.to_thread(_asked, f"{found[1]}status")

    async def until(self, seen: Callable[[Status], bool], *, within_secs: float = 60) -> Status:
        """The first status that is as wished; AssertionError with the last one if none comes."""
        deadline, last = time.monotonic() + within_secs, None
        while time.monotonic() < deadline:
            last = await self.status() or last
            if last is not None and seen(last):
                return last
            if not self.alive and self._child is not None:
                raise AssertionError(f"ended with {self.exit_code}; its log ends:\n{self.log[-3000:]}")
            await asyncio.sleep(0.1)
        raise AssertionError(f"not so within {within_secs} s; last: {_short(last)}; its log ends:\n{self.log[-3000:]}")

    async def until_state(self, state: str, *, within_secs: float = 60) -> Status:
        return await self.until(lambda status: status["state"] == state, within_secs=within_secs)

    async def until_owning(self, count: int, *, within_secs: float = 60) -> Status:
        """Once it has claimed so many partitions."""
        return await self.until(lambda status: len(status["partitions"]) == count, within_secs=within_secs)

    async def until_said(self, text: str, *, within_secs: float = 60) -> str:
        """The first line since its last start that holds a text."""
        deadline = time.monotonic() + within_secs
        while time.monotonic() < deadline:
            if line := next((line for line in self.last_log.splitlines() if text in line), ""):
                return line
            await asyncio.sleep(0.05)
        raise AssertionError(f"never said {text!r}; its log ends:\n{self.log[-3000:]}")


def _asked(url: str) -> Status | None:
    try:
        with urllib.request.urlopen(url, timeout=STATUS_SECS) as answer:
            statuses: list[Status] = json.load(answer)
    except (OSError, urllib.error.URLError, ValueError):
        return None  # not up yet, frozen, or just gone: the caller asks again
    return statuses[0] if statuses else None


def _short(status: Status | None) -> str:
    return "no answer" if status is None else str({k: v for k, v in status.items() if k != "partitions"})
