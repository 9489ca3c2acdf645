"""stockifyd installed in a throw-away machine: its units, its specs, and what systemd and the journal say of them."""

from __future__ import annotations

import json
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from kit.machine import Machine

REPOSITORY = Path(__file__).parents[2]
HOME = Path("/opt/stockifyd")
PROGRAM = "/usr/local/bin/stockifyd"
UNTIL_SECS = 60.0
T = TypeVar("T")


class Units:
    """What an operator does and sees."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def systemctl(self, *arguments: str) -> CompletedProcess[str]:
        return self.machine.call("systemctl", *arguments)

    def stockifyd(self, *arguments: str, user: str = "", group: str = "") -> CompletedProcess[str]:
        return self.machine.call(PROGRAM, *arguments, user=user, group=group)

    def show(self, unit: str) -> dict[str, str]:
        """The properties of a unit."""
        return dict(line.split("=", 1) for line in self.machine.tell("systemctl", "show", unit).splitlines() if "=" in line)

    def journal(self, unit: str) -> list[dict[str, Any]]:
        """Its entries, and what systemd says of it, as objects of journald."""
        lines = self.machine.tell("journalctl", "--unit", unit, "--output=json", "--quiet").splitlines()
        return [json.loads(line) for line in lines]

    def told(self, unit: str) -> list[tuple[int, str]]:
        """Level and text of what its own processes said."""
        own = [entry for entry in self.journal(unit) if entry.get("_SYSTEMD_UNIT") == f"{unit}.service"]
        return [(int(entry["PRIORITY"]), str(entry["MESSAGE"])) for entry in own]

    def said(self, unit: str) -> str:
        """The texts, one a line."""
        return "\n".join(text for _, text in self.told(unit))

    def write_spec(self, name: str, text: str) -> str:
        path = f"/etc/stockifyd/pipelines/{name}.yaml"
        self.machine.write(path, text)
        return path

    def change(self, unit: str, section: str) -> None:
        """A drop-in of the operator."""
        self.machine.write(f"/etc/systemd/system/{unit}.service.d/tests.conf", section)
        self.machine.tell("systemctl", "daemon-reload")

    def until(self, look: Callable[[], T], unit: str) -> T:
        """The first true answer; AssertionError with the state of a unit if none comes."""
        deadline = time.monotonic() + UNTIL_SECS
        while not (found := look()):
            if time.monotonic() > deadline:
                raise AssertionError(f"still {found!r} after {UNTIL_SECS} s\n{self.systemctl('status', '-n', '50', unit).stdout}")
            time.sleep(0.1)
        return found


@contextmanager
def installed() -> Iterator[Units]:
    """A machine with stockifyd in /opt, beside a Python that units can read; its libraries are those of the tests."""
    python = Path(sys.base_prefix).resolve()
    shown = {REPOSITORY: f"{HOME}/source", Path(sysconfig.get_path("purelib")): f"{HOME}/libraries"}
    if not python.is_relative_to("/usr"):  # which may lie in somebody's home
        shown[python] = "/opt/python"
    with TemporaryDirectory(prefix="stockifyd-machine-") as folder, Machine(Path(folder), shown=shown) as machine:
        _install(machine, Path("/opt/python") if python in shown else python)
        yield Units(machine)


def _install(machine: Machine, python: Path) -> None:
    """A virtual environment by hand: that of the tests knows only its own path."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    place = f"{HOME}/lib/{version}/site-packages"
    machine.tell("mkdir", "-p", f"{HOME}/bin", place)
    machine.tell("ln", "-s", f"{python}/bin/{version}", f"{HOME}/bin/python")
    machine.write(f"{HOME}/pyvenv.cfg", f"home = {python}/bin\n")
    machine.write(f"{place}/stockifyd.pth", f"{HOME}/source\n{HOME}/source/plugins\n{HOME}/libraries\n")
    machine.write(f"{HOME}/bin/stockifyd", f"#!{HOME}/bin/python\nfrom stockifyd.cli.main import main\nmain()\n", mode=0o755)
    machine.tell("ln", "-s", f"{HOME}/bin/stockifyd", PROGRAM)
    if not python.is_relative_to("/usr"):
        machine.write("/etc/ld.so.conf.d/tests.conf", f"{python}/lib\n")
        machine.tell("ldconfig")
