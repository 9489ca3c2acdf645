"""A real PostgreSQL for tests: a cluster of its own on loopback and a unix socket, crashed and restarted at will."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

from kit.ports import free_port

PASSWORD = "secret-of-tests"
"""Every role of a test server has this password."""

SETTINGS: Mapping[str, str] = {
    "fsync": "off",  # a crash of the server loses nothing that the kernel has; only one of the machine would
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "120",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "hot_standby": "on",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "autovacuum_naptime": "10s",
}


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs; RuntimeError says how to get it."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    if config := shutil.which("pg_config"):
        folders.insert(0, Path(subprocess.check_output([config, "--bindir"], text=True).strip()))
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -int(p.parent.name))
    for folder in folders:
        if (folder / name).is_file():
            return str(folder / name)
    raise RuntimeError(f"PostgreSQL's program {name!r} is not found\n  HINT: apt-get install postgresql, or put its bin on PATH")


def servant() -> dict[str, Any]:
    """What Popen needs to run a server as an ordinary user: PostgreSQL and PgBouncer refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    user = _servant_entry()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def own(path: Path) -> None:
    """Give a file or folder to the user that the servers run as."""
    if os.geteuid() == 0:
        user = _servant_entry()
        os.chown(path, user.pw_uid, user.pw_gid)


def _servant_entry() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError(
        "there is no user to run servers as\n  HINT: create the user 'nobody', or run the tests as an ordinary user"
    )


class PostgresServer:
    """One cluster: initialised once, then started, stopped, killed and started again on the same port."""

    host = "127.0.0.1"
    user = "postgres"

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stockifyd-pg-"))
        own(self.folder)
        self.data = self.folder / "data"
        self.port = free_port()
        self.settings = {**SETTINGS, **(settings or {})}
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.initialise()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def initialise(self) -> None:
        """Create the cluster: no password on the socket, SCRAM over TCP."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        own(secret)
        options = ["-U", self.user, f"--pwfile={secret}", "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8", "-N"]
        command = [program("initdb"), "-D", str(self.data), "--locale=C.UTF-8", *options]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, **servant())
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()}")

    def start(self) -> None:
        """Start the server; returns when it takes connections."""
        own_settings = {"listen_addresses": self.host, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [part for item in {**self.settings, **own_settings}.items() for part in ("-c", "=".join(item))]
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [program("postgres"), "-D", str(self.data), *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **servant(),
            )
        self._await_ready()

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """End the server as `pg_ctl stop -m` does."""
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self._end(signals[mode])

    def kill(self) -> None:
        """SIGKILL to the postmaster: its children notice and end by themselves."""
        self._end(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self._shared_memory_in_use() and time.monotonic() < deadline:
            time.sleep(0.05)

    def restart(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop the server and delete its cluster."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text: str, *, database: str = "postgres", user: str = "") -> str:
        """Run SQL over the socket by psql; answers with its unaligned output."""
        command = [program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-p", str(self.port)]
        command += ["-U", user or self.user, "-d", database, "-f", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def create_database(self, name: str) -> None:
        self.sql(f'CREATE DATABASE "{name}"')

    def drop_database(self, name: str) -> None:
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def create_role(self, name: str) -> None:
        """A role that may log in and nothing else; there already is fine."""
        self.sql(
            f"""DO $$ BEGIN CREATE ROLE "{name}" LOGIN PASSWORD '{PASSWORD}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"""
        )

    def url(self, database: str = "postgres", *, user: str = "", port: int = 0) -> str:
        """A URL for TCP on loopback; another `port` for a pooler or proxy before the server."""
        return f"postgresql://{user or self.user}:{PASSWORD}@{self.host}:{port or self.port}/{database}"

    def _end(self, number: signal.Signals) -> None:
        if self.child is None:
            return
        if self.child.poll() is None:
            self.child.send_signal(number)
            try:
                self.child.wait(30)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(10)
        self.child = None

    def _await_ready(self) -> None:
        ask = [program("pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.child is None or self.child.poll() is not None:
                break
            if subprocess.run(ask, check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start; its log ends:\n{self._log_end()}")

    def _log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def _shared_memory_in_use(self) -> bool:
        """Whether children of a killed postmaster still live: a new one refuses to start beside them."""
        lines = (self.data / "postmaster.pid").read_text().splitlines() if (self.data / "postmaster.pid").exists() else []
        if len(lines) < 7 or not (segment := re.findall(r"\d+", lines[6])):
            return False
        rows = [row.split() for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        return any(row[1] == segment[-1] and int(row[6]) > 0 for row in rows)
