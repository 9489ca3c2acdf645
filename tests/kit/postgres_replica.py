"""A streaming replica of a PostgresServer: behind it, cut off from it, or promoted in its place."""

from __future__ import annotations

import subprocess
import time

from kit.postgres import PostgresServer, program, servant

PATIENCE_SECS = 60.0


class PostgresReplica(PostgresServer):
    """A hot standby made by pg_basebackup; `promote` makes a primary of it, with the system identifier of the first one."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__(primary.settings)
        self.primary = primary

    def initialise(self) -> None:
        """Copy the primary as it runs, and stand by."""
        source = ["-h", str(self.primary.folder), "-p", str(self.primary.port), "-U", self.primary.user]
        command = [program("pg_basebackup"), *source, "-D", str(self.data), "-R", "-X", "stream", "--checkpoint=fast", "-N"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, **servant())
        if done.returncode:
            raise RuntimeError(f"pg_basebackup failed: {done.stderr.strip()}")

    def catch_up(self) -> None:
        """Returns when all that the primary has written is here."""
        at = self.primary.sql("SELECT pg_current_wal_lsn()")
        self._until(f"SELECT pg_last_wal_replay_lsn() >= '{at}'", f"the replica did not reach {at}")

    def pause_replay(self) -> None:
        """What the primary writes from now on comes, and is not seen before `resume_replay`."""
        self.sql("SELECT pg_wal_replay_pause()")
        self._until("SELECT pg_get_wal_replay_pause_state() = 'paused'", "the replay was not paused")

    def resume_replay(self) -> None:
        self.sql("SELECT pg_wal_replay_resume()")

    def cut_off(self) -> None:
        """End the streaming for good: what the primary writes from now on is not here, nor will it be."""
        self.sql("ALTER SYSTEM SET primary_conninfo = ''")
        self.sql("SELECT pg_reload_conf()")
        self._until("SELECT count(*) = 0 FROM pg_stat_wal_receiver", "the replica goes on streaming")

    def promote(self) -> None:
        """Make it a primary that takes rows."""
        self.sql(f"SELECT pg_promote(true, {PATIENCE_SECS:.0f})")
        self._until("SELECT NOT pg_is_in_recovery()", "the replica was not promoted")

    def _until(self, question: str, otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECS
        while self.sql(question) != "t":
            if time.monotonic() > deadline:
                raise RuntimeError(f"{otherwise} within {PATIENCE_SECS:.0f} s; its log ends:\n{self._log_end()}")
            time.sleep(0.05)
