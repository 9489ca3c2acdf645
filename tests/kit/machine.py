"""A throw-away machine: a real systemd, booted in a container on a view of this machine's files that keeps nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

SYSTEMD = Path("/lib/systemd/systemd")
BOOT_SECS = 60.0
CALL_SECS = 90.0
CLEAN = ("env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "SYSTEMD_PAGER=")


BOOT = """
set -e
while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done
folder=$2; shift 2
mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$folder/root"
rm -rf "$folder/root/etc/systemd/system" # of this machine, whose services are not wanted twice
mkdir "$folder/root/etc/systemd/system"
: > "$folder/root/etc/fstab"
exec setpriv --pdeathsig KILL systemd-nspawn --directory="$folder/root" "$@"
"""
"""Runs with mounts of its own: nobody else sees them, and they are gone with the last process."""


class NoRightsError(Exception):
    """This process may not mount, or may not make cgroups: a container without privileges."""


def missing() -> str:
    """Why no machine can be booted here; empty where one can."""
    if os.geteuid() != 0:
        return "a systemd of our own is booted by root alone"
    if not SYSTEMD.exists():
        return "there is no systemd here: apt-get install systemd"
    if shutil.which("systemd-nspawn") is None:
        return "there is no systemd-nspawn here: apt-get install systemd-container"
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        return "the kernel has no overlayfs"
    if not _hierarchies():
        return "no cgroup2 is mounted"
    return ""


class Machine:
    """Its network is this machine's. What is written to its files is gone with it; `/tmp` and `/run` are its own."""

    def __init__(self, folder: Path, *, shown: dict[Path, str] | None = None) -> None:
        self._folder, self._shown = folder, shown or {}
        self._name = f"stockifyd-tests-{os.getpid()}-{time.monotonic_ns()}"
        self._groups = [place / self._name for place in _hierarchies()]
        self._container: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __enter__(self) -> Self:
        try:
            self._boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """No orderly shutdown: when its first process is gone, the kernel ends the others."""
        if self._init:
            with suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGKILL)
        if self._container is not None:
            if not self._init:
                self._container.kill()
            self._container.wait()
        for group in self._groups:
            _remove(group)

    def call(self, *command: str, user: str = "", group: str = "", text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in there, as root or as somebody; `text` is its standard input."""
        become = ["setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups"] if user else []
        line = [*self._enter, *become, *command]
        return subprocess.run(line, capture_output=True, text=True, input=text, check=False, timeout=CALL_SECS)

    @contextmanager
    def open(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on in there, ended at the end."""
        with subprocess.Popen([*self._enter, *command], stdout=subprocess.PIPE, text=True) as child:
            try:
                yield child
            finally:
                child.kill()

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._init}", "--all", "--", *CLEAN]

    def tell(self, *command: str) -> str:
        """What a command prints that must succeed."""
        done = self.call(*command)
        if done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """A file, in the place of the one that is there, as an editor that is careful does it."""
        self.tell("mkdir", "-p", str(Path(path).parent))
        put = 'umask 077; cat > "$1.new" && chmod "$2" "$1.new" && mv "$1.new" "$1"'
        done = self.call("sh", "-c", put, "sh", path, f"{mode:o}", text=text)
        assert 0 == done.returncode, done.stderr

    def _boot(self) -> None:
        try:
            for group in self._groups:
                group.mkdir()
        except OSError as error:
            raise NoRightsError(f"no cgroup can be made: {error}") from error
        nspawn = ["--quiet", "--register=no", "--keep-unit", "--console=read-only", f"--machine={self._name}"]
        nspawn += [f"--bind-ro={path}:{place}" for path, place in self._shown.items()]
        nspawn += ["--boot", "--", "--unit=basic.target"]
        with (self._folder / "console").open("wb") as console:
            self._container = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", BOOT, "sh", *map(str, self._groups), "--", str(self._folder), *nspawn],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        self._await_boot()

    def _await_boot(self) -> None:
        assert self._container is not None
        deadline = time.monotonic() + BOOT_SECS
        while time.monotonic() < deadline:
            if self._container.poll() is not None:
                raise NoRightsError(self._console())
            self._init = self._init or next(_firsts(self._groups[0]), 0)
            if self._init and self.call("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
                return
            time.sleep(0.05)
        raise AssertionError(f"systemd has not booted within {BOOT_SECS} s: {self._console()}")

    def _console(self) -> str:
        return (self._folder / "console").read_text(errors="replace")[-2000:].strip()


def _hierarchies() -> list[Path]:
    """The mounted cgroup2, and systemd's own of cgroup1 beside it where there is one."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    new = [Path(place) for _, place, kind, *_ in mounts if kind == "cgroup2"]
    old = [Path(place) for _, place, kind, options, *_ in mounts if kind == "cgroup" and "name=systemd" in options.split(",")]
    return [*new[:1], *old[:1]] if new else []


def _firsts(group: Path) -> Iterator[int]:
    """Processes below a cgroup that are number 1 of a namespace of their own."""
    for procs in group.rglob("cgroup.procs"):
        for pid in procs.read_text().split():
            with suppress(OSError):
                status = Path("/proc", pid, "status").read_text()
                if next(line for line in status.splitlines() if line.startswith("NSpid")).split()[2:] == ["1"]:
                    yield int(pid)


def _remove(group: Path) -> None:
    """A cgroup with all below it, once the last process has left it."""
    deadline = time.monotonic() + BOOT_SECS
    while group.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        time.sleep(0.02)
