"""Processes that are started, and ended whatever happens."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from stockifyd.api import StockifydError
from stockifyd_demo.children import Children, clean

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_complete(tmp_path: Path) -> None:
    """A command's output, both streams."""
    with Children(tmp_path) as children:
        assert "one\ntwo" == await children.complete("say", ["sh", "-c", "echo one; echo two >&2"])


async def test_complete_fails(tmp_path: Path) -> None:
    """A command that fails: its exit code and its last words."""
    with Children(tmp_path) as children, pytest.raises(StockifydError) as raised:
        await children.complete("the thing", ["sh", "-c", "echo it broke; exit 3"])
    assert "the thing ended with exit code 3; it said last:\nit broke" == raised.value.reason


async def test_complete_too_slow(tmp_path: Path) -> None:
    """A command that takes too long is ended, and said so."""
    with pytest.raises(StockifydError, match="does not come to its end"), Children(tmp_path) as children:
        await children.complete("slow", ["sleep", "600"], secs=0)
    assert not children._children[0].is_running


async def test_noise(tmp_path: Path) -> None:
    """What the dynamic linker says of a C library is not repeated."""
    with Children(tmp_path) as children:
        assert "ready" == await children.complete("x", ["sh", "-c", "echo 'weak version GLIBC_2.39 not found'; echo ready"])


def test_all_ended(tmp_path: Path) -> None:
    """Leaving ends every child, last one first, also where an error is raised."""
    with pytest.raises(RuntimeError, match="stop"), Children(tmp_path) as children:
        pids = [children.start(f"sleep {n}", ["sleep", "600"]).pid for n in range(3)]
        raise RuntimeError("stop")
    assert [False] * 3 == [is_there(pid) for pid in pids]


def test_deaf(tmp_path: Path) -> None:
    """A child that does not listen to SIGTERM is killed at the deadline."""
    with Children(tmp_path) as children:
        child = children.start("deaf", [sys.executable, "-c", DEAF])
        while "deaf" not in child.said():
            time.sleep(0.01)
        child.stop(time.monotonic())
        assert -signal.SIGKILL == child.process.returncode


async def test_interrupt_is_shielded(tmp_path: Path) -> None:
    """A child is in a session of its own: Ctrl-C on the terminal is for the demo."""
    with Children(tmp_path) as children:
        child = children.start("sleep", ["sleep", "600"])
        await asyncio.sleep(0)
        assert child.pid == os.getsid(child.pid)


def test_clean() -> None:
    """Nothing that leads stockifyd elsewhere is passed on."""
    ours = {"DATABASE_URL": "x", "DATABASE_OWNER_URL": "x", "KAFKA_MEMBERSHIP": "x", "STOCKIFYD_LISTEN": "x", "PGHOST": "x"}
    assert {"PATH": "/bin", "LANG": "C"} == clean(
        {**ours, "INSTANCE_ID": "2", "TOTAL_INSTANCES": "3", "PATH": "/bin", "LANG": "C"}
    )
