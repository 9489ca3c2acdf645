"""What systemd is told: ready, reloading, stopping, a line of status, and that we are well."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notify:
    """Silent where nobody listens (no NOTIFY_SOCKET)."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        wanted_by = environ.get("WATCHDOG_PID", str(os.getpid()))
        micros = environ.get("WATCHDOG_USEC", "") if wanted_by == str(os.getpid()) else ""
        self.watchdog_secs = int(micros) / 1e6 if micros.isdigit() else 0.0
        """Within which systemd wants to hear that we are well; 0 where it does not."""

    def ready(self, status: str) -> None:
        """Started, or done with a reload."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Draining."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """A line for `systemctl status`."""
        self._send(f"STATUS={_line(text)}")

    def well(self) -> None:
        """Not hung."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if self._address:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
                told.sendto(text.encode(), self._address)


def _line(text: str) -> str:
    """A second line would be another variable."""
    return " ".join(text.split())
