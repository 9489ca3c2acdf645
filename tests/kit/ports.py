"""Ports on loopback for servers of tests, kept for one process for as long as it lives."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

LOWEST = 10_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_held: list[IO[bytes]] = []


def free_port() -> int:
    """A port that nobody listens on, and that no other process of these tests is given.

    Below those that the kernel gives to clients: between the choice and a server's start, which takes seconds, one of them
    could be some connection's own end. Where that range is not known, what is below 32,768.
    """
    below = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.exists() else 32_768
    while True:
        port = random.SystemRandom().randrange(LOWEST, below)
        if _is_ours(port) and _is_free(port):
            return port


def free_ports(count: int) -> list[int]:
    """So many, all different."""
    return [free_port() for _ in range(count)]


def _is_ours(port: int) -> bool:
    """Take the lock of a port, which ends with the process; two test processes would else choose the same."""
    folder = Path(tempfile.gettempdir()) / f"stockifyd-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    lock = (folder / str(port)).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _held.append(lock)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
