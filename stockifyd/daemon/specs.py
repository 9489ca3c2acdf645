"""The spec files that a daemon was given: read anew whenever asked, and what is kept of those that proved good."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from stockifyd.registry import Registry
from stockifyd.spec import Loaded, Spec, load_all, loads, spec_files
from stockifyd.spec.nodes import MAX_BYTES


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files say now. `broken`: those with findings; `folders`: a spec that is not in them any more is wanted no more."""

    specs: Mapping[str, Spec] = field(default_factory=dict)
    broken: Sequence[Loaded] = ()
    missing: Sequence[Path] = ()


class Specs:
    """Files as they were named, and folders of which every YAML file is a spec."""

    def __init__(self, paths: Sequence[str | Path], registry: Registry) -> None:
        self.paths = [Path(path) for path in paths]
        self._registry = registry

    @property
    def folders(self) -> list[Path]:
        """What has to be watched: the folders, and those that files are in, also behind links."""
        places = [path if path.is_dir() else path.parent for path in self.paths]
        files = [path for path in spec_files(p for p in self.paths if p.exists()) if path.is_symlink()]
        return sorted({place.absolute() for place in (*places, *(file.resolve().parent for file in files)) if place.is_dir()})

    def is_of_a_folder(self, path: str) -> bool:
        """Whether a spec was found in a folder: then it may go, as it came."""
        return any(place.is_dir() and Path(path).parent == place for place in self.paths)

    def fingerprint(self) -> tuple[tuple[str, bytes], ...]:
        """What the files hold now, unread: equal where no file has come, gone or changed."""
        return tuple((str(path), _bytes(path)) for path in spec_files(path for path in self.paths if path.exists()))

    def read(self) -> Reading:
        """Load all of them."""
        there = [path for path in self.paths if path.exists()]
        loaded = load_all(spec_files(there), self._registry)
        return Reading(
            specs={one.spec.name: one.spec for one in loaded if one.spec},
            broken=[one for one in loaded if one.spec is None],
            missing=[path for path in self.paths if path not in there],
        )


class LastGood:
    """Copies of specs that ran well for a while, by the path of their file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, spec: Spec) -> None:
        """This one is good. OSError where the folder cannot be written."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self._place(spec.path)
        new = place.with_name(f".{place.name}.{os.getpid()}")
        new.write_bytes(spec.content)
        new.replace(place)

    def load(self, path: str, registry: Registry) -> Loaded | None:
        """The last good one of a file; None where there is none."""
        place = self._place(path)
        return loads(place.read_bytes(), registry, file=path) if place.is_file() else None

    def _place(self, path: str) -> Path:
        return self.folder / quote(str(Path(path).absolute()), safe="")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        return str(error).encode()


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where a daemon keeps what outlives it: systemd's StateDirectory, else the user's."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    home = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or "/var/lib", ".local", "state")
    return Path(home, "stockifyd")
