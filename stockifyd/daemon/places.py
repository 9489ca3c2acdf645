"""Where daemons have their control sockets, and where commands look for them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

SOCKET = "control.sock"
SYSTEM = Path("/run/stockifyd")


def own_folder(name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """A daemon's own: systemd's RuntimeDirectory as it is, else one named after what runs and the process."""
    if given := environ.get("RUNTIME_DIRECTORY"):
        return Path(given.split(":")[0])
    return _base(environ) / f"{name}-{os.getpid()}"


def left_behind(own: Path) -> list[Path]:
    """Folders beside our own whose processes are gone."""
    if not own.name.endswith(f"-{os.getpid()}"):
        return []  # systemd's, who takes away what was its
    pids = {path: path.name.rpartition("-")[2] for path in own.parent.iterdir() if path.is_dir()}
    return [path for path, pid in pids.items() if pid.isdecimal() and not _is_running(int(pid))]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def roots(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where the sockets of this machine may be, of systemd's daemons and of ours. In a unit (ExecReload): its own alone."""
    if given := environ.get("RUNTIME_DIRECTORY"):
        return [Path(given.split(":")[0])]
    if given := environ.get("STOCKIFYD_RUNTIME"):
        return [Path(given)]
    return list(dict.fromkeys([SYSTEM, _base(environ), _temporary()]))


def _base(environ: Mapping[str, str]) -> Path:
    if given := environ.get("STOCKIFYD_RUNTIME"):
        return Path(given)
    if given := environ.get("XDG_RUNTIME_DIR"):
        return Path(given, "stockifyd")
    return _temporary()


def _temporary() -> Path:
    return Path(tempfile.gettempdir(), f"stockifyd-{os.getuid()}")
