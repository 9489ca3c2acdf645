"""Plugin code that has changed on disk since it was imported: a reload does not take it, and that must be said."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from stockifyd.spec.model import Spec

Stamp = tuple[int, int]
HINT = "the code of {} has changed on disk; a reload does not take it: restart the daemon"


class PluginCode:
    """Remembers each file as it was when it was first seen."""

    def __init__(self) -> None:
        self._seen: dict[Path, Stamp] = {}
        self._said: set[Path] = set()

    def look(self, specs: Iterable[Spec]) -> list[Path]:
        """Note the files of the components' plugins; answers with those that have changed since they were noted."""
        changed = []
        for path in sorted(_files(specs)):
            stamp = _stamp(path)
            if self._seen.setdefault(path, stamp) != stamp:
                changed.append(path)
        return changed

    def news(self, changed: Iterable[Path]) -> list[Path]:
        """Of what has changed, what was not told before."""
        fresh = [path for path in changed if path not in self._said]
        self._said.update(fresh)
        return fresh


def _files(specs: Iterable[Spec]) -> set[Path]:
    """Of every module of every package that a component comes from."""
    classes = {one.component for spec in specs for one in (spec.source, *spec.transforms, *spec.sinks)}
    tops = {one.__module__.partition(".")[0] for one in classes}
    found = {getattr(module, "__file__", None) for name, module in [*sys.modules.items()] if name.partition(".")[0] in tops}
    return {Path(name) for name in found if name}


def _stamp(path: Path) -> Stamp:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)
