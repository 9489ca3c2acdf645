"""Plugins to be: where they are installed or lie as files, which API they are for, and how they are imported."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import re
import stat
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Literal

from stockifyd.api import API_VERSION

Role = Literal["source", "transform", "sink"]
Key = tuple[Role, str]

GROUP = "stockifyd"
HOME = "stockifyd"
"""The distribution whose plugins are the built-ins: they come first, so that nobody can shadow them."""

_REQUIRES = re.compile(r"^requires_api\b[^=\n]*=(?!=)([^#\n]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin to be: `load` imports it, and may fail in any way; `find` says which file that is, and may fail too."""

    name: str
    version: str
    load: Callable[[], Any]
    find: Callable[[], str | None]


class Broken(Exception):
    """A plugin cannot be used. `brings`: the components it was to bring, as far as they are known."""

    def __init__(self, reason: str, where: str = "", brings: tuple[Key, ...] = ()) -> None:
        super().__init__(reason)
        self.reason, self.where, self.brings = " ".join(reason.split()), where, brings


def installed(*, built_in: bool) -> list[Candidate]:
    points = {(_distribution(p)[0], p.name, p.value): p for p in entry_points(group=GROUP)}  # a path listed twice is one plugin
    ours_first = sorted(points, key=lambda key: (key[0] != HOME, key))
    wanted = [points[key] for key in ours_first if not built_in or key[0] == HOME]
    return [Candidate(p.name, " ".join(_distribution(p)), p.load, partial(_file_of, p.module)) for p in wanted]


def from_file(path: Path) -> Candidate:
    return Candidate(path.stem, str(path), lambda: _import_file(path), lambda: str(path.absolute()))


def check_api(candidate: Candidate) -> None:
    """Refuse a plugin that is for another API before any of it runs: what it imports may not be there."""
    file = source_of(candidate)
    found = _REQUIRES.search(text := _text(file)) if file else None
    if file is None or found is None:
        return
    wanted, where = found[1].strip(), f"{file}:{text.count(chr(10), 0, found.start()) + 1}"
    if not wanted.isdigit():
        raise Broken(f"requires_api is {wanted}: write a number, as {API_VERSION}", where)
    if int(wanted) != API_VERSION:
        raise Broken(f"it is for plugin API {wanted}, and this stockifyd has API {API_VERSION}", where)


def source_of(candidate: Candidate) -> str | None:
    """The Python file that a plugin begins with, if it can be told."""
    try:
        file = candidate.find()
    except Exception:  # noqa: BLE001  # the package around it may fail in any way; loading will tell
        return None
    return file if file and file.endswith(".py") else None


def where_raised(error: BaseException, file: str | None) -> str:
    """The plugin's own line that an error came through, the last one; else the last line of all but our own."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    ours = f"{Path(__file__).parent}/"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(("<", ours))]
    frames = [f for f in frames if "/importlib/" not in f.filename]
    home = file.removesuffix("__init__.py") if file else ""
    theirs = [f for f in frames if home and f.filename.startswith(home)] or frames
    return f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else ""


def _text(file: str) -> str:
    try:
        return Path(file).read_text("utf-8", errors="replace")
    except OSError:  # loading will tell
        return ""


def _file_of(module: str) -> str | None:
    spec = importlib.util.find_spec(module)
    return spec.origin if spec else None


@cache
def _distribution(point: EntryPoint) -> tuple[str, str]:
    about = point.dist.metadata if point.dist else None  # read from a file at each call
    return ("", "") if about is None else (about["Name"], about["Version"])


class _CheckedLoader(importlib.machinery.SourceFileLoader):
    """Imports what was checked, and nothing that somebody left in __pycache__."""

    def get_code(self, fullname: str) -> Any:  # noqa: ARG002  importlib calls it so
        with _opened(self.path) as file:
            about = os.fstat(file.fileno())
            if about.st_uid not in (0, os.geteuid()):
                raise Broken(f"its file belongs to user {about.st_uid}, not to us or root: chown it")
            if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise Broken(f"its file may be written by others (mode {stat.S_IMODE(about.st_mode):o}): chmod go-w it")
            folder = Path(self.path).resolve().parent
            mode = folder.stat().st_mode
            if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                writable = f"its folder has mode {stat.S_IMODE(mode):o}"
                raise Broken(f"anybody may put another file there: {writable}: chmod o-w {folder}")
            return self.source_to_code(file.read(), self.path)


def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise Broken(f"{path}: there is no such file") from None
    except OSError as error:
        raise Broken(f"{path}: {error.strerror}") from error


def _import_file(path: Path) -> ModuleType:
    name = f"stockifyd_plugin_file_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    spec = importlib.util.spec_from_loader(name, _CheckedLoader(name, str(path.absolute())))
    if spec is None or spec.loader is None:
        raise Broken("its file cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # msgspec finds the names in annotations there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
