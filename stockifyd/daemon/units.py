"""The units of systemd that come with stockifyd, and whether one of them could run a program."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

NAMES = ("stockifyd@.service", "stockifyd.service", "stockifyd.target")
GROUP = "stockifyd"
CALLED = re.compile(r"^(Exec\w+=)stockifyd ", re.MULTILINE)
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - where nothing is written
"""What `ProtectHome=` and `PrivateTmp=` take away."""


def units(program: Path) -> dict[str, str]:
    """Unit files by name, which start this program."""
    folder = files("stockifyd.daemon") / "systemd"
    texts = {name: (folder / name).read_text("utf-8") for name in NAMES}
    return {name: CALLED.sub(lambda found: f"{found[1]}{_word(program)} ", text) for name, text in texts.items()}


def out_of_reach(paths: Iterable[Path]) -> str:
    """Why the user of a unit cannot reach one of these, links followed; empty where it can reach all."""
    places = dict.fromkeys(place for path in paths for place in (path.absolute(), path.resolve()))
    for path in places:
        for folder in path.parents:
            if folder in HIDDEN:
                return f"{path} is in {folder}, of which a unit sees nothing"
            if folder.is_dir() and not folder.stat().st_mode & 0o001:
                return f"{path} is in {folder}, which is closed to other users"
    return ""


def _word(path: Path) -> str:
    """As a unit file takes it: `%` begins a specifier, a space the next word."""
    text = str(path).replace("\\", "\\\\").replace("%", "%%")
    return f'"{text}"' if " " in text else text
