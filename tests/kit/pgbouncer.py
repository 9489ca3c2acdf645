"""A real PgBouncer for tests, before a PostgresServer, in any pooling mode."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from kit.ports import free_port
from kit.postgres import PASSWORD, PostgresServer, own, program, servant

PoolMode = Literal["session", "transaction", "statement"]


def bouncer() -> str:
    """The path of PgBouncer; RuntimeError says how to get it."""
    if found := shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])):
        return found
    raise RuntimeError("pgbouncer is not found\n  HINT: apt-get install pgbouncer")


ADMIN_SECS = 60


class PgBouncer:
    """One pooler on loopback. Every role and database of the server is reachable through it."""

    host = "127.0.0.1"

    def __init__(
        self, server: PostgresServer, *, mode: PoolMode = "transaction", settings: Mapping[str, str] | None = None
    ) -> None:
        self.server = server
        self.mode = mode
        self.folder = Path(tempfile.mkdtemp(prefix="stockifyd-bouncer-"))
        own(self.folder)
        self.port = free_port()
        self.settings = settings or {}
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> None:
        """Write the configuration, start the pooler; returns when it takes connections."""
        ini = self._write_configuration()
        with (self.folder / "pooler.log").open("ab") as log:
            self.child = subprocess.Popen(
                [bouncer(), "-q", str(ini)], cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **servant()
            )
        self._await_ready()

    def stop(self) -> None:
        """End it at once, as a fast shutdown does: clients are cut off."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def point_at(self, server: PostgresServer) -> None:
        """Another server behind the same address; clients stay, connections to the one before end with their transaction."""
        self.server = server
        self._write_configuration()
        self.admin("RELOAD")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", *, user: str = "") -> str:
        return self.server.url(database, user=user, port=self.port)

    def admin(self, command: str) -> str:
        """A command of the admin console: PAUSE, RESUME, KILL db, RECONNECT, SHOW POOLS."""
        ask = [
            program("psql"),
            "-XqAt",
            "-h",
            self.host,
            "-p",
            str(self.port),
            "-U",
            self.server.user,
            "-d",
            "pgbouncer",
            "-c",
            command,
        ]
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        try:
            done = subprocess.run(ask, capture_output=True, text=True, check=False, env=environment, timeout=ADMIN_SECS)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"pgbouncer: {command} took longer than {ADMIN_SECS} s") from error
        if done.returncode:
            raise RuntimeError(f"pgbouncer: {done.stderr.strip()}")
        return done.stdout.strip()

    def _write_configuration(self) -> Path:
        ini = self.folder / "pgbouncer.ini"
        ini.write_text(self._configuration())
        (self.folder / "users.txt").write_text(f'"{self.server.user}" "{PASSWORD}"\n')
        for path in (ini, self.folder / "users.txt"):
            own(path)
        return ini

    def _configuration(self) -> str:
        settings = {
            "listen_addr": self.host,
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "pool_mode": self.mode,
            "auth_type": "scram-sha-256",
            "auth_file": str(self.folder / "users.txt"),
            "auth_user": self.server.user,
            "admin_users": self.server.user,
            "default_pool_size": "20",
            "server_login_retry": "1",  # a server that is back is found within the second
            "server_check_delay": "0",
            "logfile": str(self.folder / "pgbouncer.log"),
            "pidfile": str(self.folder / "pgbouncer.pid"),
            **self.settings,
        }
        lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
        return f"[databases]\n* = host={self.server.folder} port={self.server.port}\n\n[pgbouncer]\n{lines}\n"

    def _end(self, number: signal.Signals) -> None:
        if self.child is None:
            return
        if self.child.poll() is None:
            self.child.send_signal(number)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(10)
        self.child = None
        (self.folder / "pgbouncer.pid").unlink(missing_ok=True)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.child is None or self.child.poll() is not None:
                break
            try:
                self.admin("SHOW VERSION")
            except RuntimeError:
                time.sleep(0.05)
            else:
                return
        log = self.folder / "pooler.log"
        raise RuntimeError(f"PgBouncer did not start; its log ends:\n{log.read_text(errors='replace')[-2000:]}")
