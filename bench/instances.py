"""Several instances, each with a share of a core: whether twice as many do twice as much (figure f)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bed import Bed
from loads import PARTITIONS, Subject, empty

CGROUP = Path("/sys/fs/cgroup")
PERIOD_US = 20_000  # short, so that a heartbeat does not wait for long
SETTLE_SECS, MEASURE_SECS = 1.0, 6.0


class NoSharesError(RuntimeError):
    """This machine does not let us limit a process."""


@contextmanager
def share(name: str, cores: float) -> Iterator[tuple[str, ...]]:
    """The start of a command that runs what follows with so much of a core; NoSharesError where that cannot be."""
    one = (CGROUP / "cgroup.controllers").exists()
    group = (CGROUP if one else CGROUP / "cpu") / f"stockifyd-bench-{os.getpid()}-{name}"
    quota = int(cores * PERIOD_US)
    try:
        group.mkdir()
        if one:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
    except OSError as error:
        raise NoSharesError(f"{group}: {error.strerror}; a share of a core needs a writable cgroup (root)") from error
    try:
        yield ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")
    finally:
        deadline = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        group.rmdir()


def measure(at: Bed, subject: Subject, count: int, cores: float, name: str) -> float:
    """Rows a second of so many instances together, once each has its partitions."""
    empty(at, subject)
    spec = subject.spec(at, name)
    with _shares(name, count, cores) as befores:
        total = {"TOTAL_INSTANCES": str(count)}
        runs = [at.run(spec, before=before, INSTANCE_ID=str(n + 1), **total) for n, before in enumerate(befores)]
        try:
            while any(len(run.status()["partitions"]) != PARTITIONS // count for run in runs):
                time.sleep(0.2)
            time.sleep(SETTLE_SECS)
            began, before = time.perf_counter(), at.stored(name)
            time.sleep(MEASURE_SECS)
            secs, done = time.perf_counter() - began, at.stored(name) - before
            if before + done == subject.count:
                raise RuntimeError(f"all {subject.count} messages were stored before the time was over: give --chains more")
        finally:
            for run in runs:
                run.kill()
    return done * subject.rows_a_message / secs


@contextmanager
def _shares(name: str, count: int, cores: float) -> Iterator[list[tuple[str, ...]]]:
    if not count:
        yield []
        return
    with share(f"{name}-{count}", cores) as before, _shares(name, count - 1, cores) as others:
        yield [before, *others]
