"""Fresh virtual environments for tests of what is built: they see this one's libraries, but not this one's stockifyd."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAMS = ("pip", "pytest", "mypy")
OURS = ("PYTHON", "PYTEST", "STOCKIFYD", "PIP_REQUIRE")
"""Variables that a fresh environment does not have."""


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment that sees this one's libraries, but not this one's stockifyd."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *what: str | Path) -> None:
        """Without a network: neither dependencies nor what builds need are fetched."""
        offline = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
        run(sys.executable, "-m", "pip", "--python", self.python, "install", *offline, *what)

    def shell(self, line: str, *, cwd: Path, must_fail: bool = False) -> str:
        """What a line typed into a shell prints, where it must succeed, or must not; pip fetches nothing."""
        return run("bash", "-ec", line, cwd=cwd, environment=self.variables, must_fail=must_fail)

    @contextmanager
    def beside(self, line: str, *, cwd: Path) -> Iterator[None]:
        """What is typed into a second terminal, and runs there until Ctrl-C ends it, well."""
        child = subprocess.Popen(
            ["bash", "-ec", f"exec {line}"], cwd=cwd, env={**_clean(), **self.variables}, stderr=subprocess.PIPE, text=True
        )
        try:
            yield
            child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=120)
            assert child.returncode == 0, said
        finally:
            child.kill()
            child.wait()

    @property
    def variables(self) -> dict[str, str]:
        """Its programs, pip without a network, and daemons and state that are nobody else's."""
        path = f"{self.folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # 0: no isolation
        own = {"STOCKIFYD_RUNTIME": str(self.folder / "run"), "XDG_STATE_HOME": str(self.folder / "state")}
        return {"PATH": path, **offline, **own}

    def stockifyd(self, *arguments: str) -> str:
        """What the installed command prints."""
        return run(self.folder / "bin" / "stockifyd", *arguments, cwd=self.folder)

    def plugins(self) -> dict[str, Any]:
        """What the installed command says of plugins."""
        listed: dict[str, Any] = json.loads(self.stockifyd("plugins", "list", "--json"))
        return listed

    def where(self) -> Path:
        """The folder that `stockifyd` is imported from."""
        return Path(run(self.python, "-c", "import stockifyd; print(stockifyd.__path__[0])", cwd=self.folder).strip())


def run(*command: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None, must_fail: bool = False) -> str:
    """The standard output of a program that must succeed, or must not."""
    env = {**_clean(), **(environment or {})}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode != 0) == must_fail, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(OURS)}


def fresh(folder: Path) -> Environment:
    """Libraries are linked one by one: a path to all of them would bring the installed stockifyd along."""
    venv.create(folder, with_pip=False)
    libraries = folder / "libraries"
    libraries.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(("stockifyd", "_stockifyd")) and path.suffix != ".pth":
            (libraries / path.name).symlink_to(path)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(f"{libraries}\n")
    for program in PROGRAMS:
        script = folder / "bin" / program
        script.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m {program} "$@"\n')
        script.chmod(0o755)
    return Environment(folder)
