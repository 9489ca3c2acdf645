"""The daemons of this machine: found by their control sockets, and asked over HTTP."""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockifyd.api import StockifydError
from stockifyd.daemon.places import SOCKET, roots

ANSWER_SECS = 10.0


class _Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Target:
    """A pipeline of a daemon."""

    daemon: Daemon
    status: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.status["name"])

    @property
    def full_name(self) -> str:
        """With its instance, as the systemd unit is called."""
        return f"{self.name}-{self.status['instance_id']}"


@dataclass(frozen=True, slots=True)
class Daemon:
    """One that answers on its socket."""

    path: Path

    def get(self, path: str) -> Any:
        """What it answers, decoded. StockifydError with its words where it refuses."""
        return self._asked("GET", path)

    def post(self, path: str, body: object = None, *, secs: float | None = ANSWER_SECS) -> Any:
        """The same, for what changes something. `secs`: how long it may take; None: as long as it takes."""
        return self._asked("POST", path, json.dumps(body).encode() if body is not None else b"", secs=secs)

    def lines(self, path: str) -> Iterator[bytes]:
        """What it goes on telling, line by line, until it ends."""
        with closing(_Unix(self.path, None)) as connection:
            connection.request("GET", path)
            with connection.getresponse() as answer:
                if answer.status != http.client.OK:
                    raise StockifydError(answer.read().decode().strip())
                while line := answer.readline():
                    yield line

    def _asked(self, method: str, path: str, body: bytes = b"", *, secs: float | None = ANSWER_SECS) -> Any:
        with closing(_Unix(self.path, secs)) as connection:
            connection.request(method, path, body)
            answer = connection.getresponse()
            told = answer.read()
        if answer.status != http.client.OK:
            raise StockifydError(told.decode().strip())
        return json.loads(told)


def daemons(environ: Mapping[str, str] = os.environ) -> list[Daemon]:
    """All that answer. StockifydError where none does, with where they were looked for."""
    looked, found, refused = roots(environ), list[Daemon](), list[str]()
    for root in looked:
        closed = [folder for folder in sorted(root.glob("*/")) if not os.access(folder, os.X_OK)]
        refused += [f"{folder}: {os.strerror(errno.EACCES)}" for folder in closed]
        for path in sorted({*root.glob(SOCKET), *root.glob(f"*/{SOCKET}")}):
            try:
                _Unix(path, ANSWER_SECS).connect()
            except ConnectionRefusedError:  # one that was killed has left its socket
                continue
            except OSError as error:
                refused.append(f"{path}: {error.strerror}")
            else:
                found.append(Daemon(path))
    if not found:
        raise StockifydError(
            "; ".join(refused) if refused else "no daemon answers",
            hint=f"looked for */{SOCKET} in {', '.join(map(str, looked))}; STOCKIFYD_RUNTIME names another place"
            + ("; systemd's are open to the group stockifyd" if refused else ""),
        )
    return found


def targets(names: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> list[Target]:
    """Pipelines by name, or by name and instance (`storage-1`); without names all. StockifydError where one is unknown."""
    there = [Target(daemon, status) for daemon in daemons(environ) for status in daemon.get("/status")]
    if unknown := [name for name in names if not any(name in (one.name, one.full_name) for one in there)]:
        known = ", ".join(sorted({one.full_name for one in there})) or "none"
        raise StockifydError(f"no pipeline is called {unknown[0]!r}", hint=f"running are: {known}")
    return [one for one in there if not names or one.name in names or one.full_name in names]
