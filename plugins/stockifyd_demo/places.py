"""Places on the disk that another user can reach: as root, PostgreSQL runs as one who is not."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

SHARED = Path("/tmp")  # noqa: S108  a folder of our own is made in it


def is_open(path: Path) -> bool:
    """Whether everybody may read and enter it, and reach it."""
    wanted = stat.S_IROTH | stat.S_IXOTH
    return path.stat().st_mode & wanted == wanted and all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def temporary() -> Path:
    """Where the demo makes its folder: as root not below a folder that is root's alone (TMPDIR may be)."""
    usual = Path(tempfile.gettempdir()).resolve()
    return usual if os.geteuid() != 0 or is_open(usual) else SHARED
