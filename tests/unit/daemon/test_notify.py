"""What systemd hears: ready, reloading, well or not, and a line."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stockifyd.daemon import places
from stockifyd.daemon.logs import JournalFormatter, JsonFormatter, TextFormatter, is_journal, leveled, said
from stockifyd.daemon.notify import Notify
from stockifyd.daemon.status import PipelineStatus
from stockifyd.daemon.supervised import Reloaded
from stockifyd.daemon.wellbeing import STUCK_SECS, Wellbeing
from stockifyd.testing import MemoryStore, MemoryTopic
from unit.daemon.daemons import daemon, text
from unit.runtime.pipelines import bodies


class Listener:
    """Systemd's end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    def heard(self) -> list[dict[str, str]]:
        """What has come since the last time, message by message."""
        found = []
        try:
            while True:
                found.append(dict(line.split("=", 1) for line in self._socket.recv(65536).decode().splitlines()))
        except BlockingIOError:
            return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path / "notify")
    yield listener
    listener.close()


def status(**changes: object) -> PipelineStatus:
    one = PipelineStatus(
        "storage", "running", "", "", 1, 1, 0, 10, 0, {}, {}, {}, 0, 0, {}, None, "", 0.0, 0.0, 5, None, []
    )  # fmt: skip
    return msgspec.structs.replace(one, **changes)


def test_a_status_is_one_line(systemd: Listener) -> None:
    """What a reason holds cannot say anything else to systemd."""
    Notify({"NOTIFY_SOCKET": systemd.address}).status("halted: a\nREADY=0\nb")
    assert [{"STATUS": "halted: a READY=0 b"}] == systemd.heard()


def test_nobody_listens() -> None:
    """Without a socket nothing is said, and nothing goes wrong."""
    Notify({}).ready("well")


@pytest.mark.parametrize(
    ("pid", "expected"), [(str(os.getpid()), 30.0), ("1", 0.0), (None, 30.0)], ids=["ours", "another's", "of nobody"]
)
def test_the_watchdog_may_be_anothers(pid: str | None, expected: float) -> None:
    """WATCHDOG_PID says whose it is."""
    whose = {"WATCHDOG_PID": pid} if pid else {}
    assert expected == Notify({"WATCHDOG_USEC": "30000000", **whose}).watchdog_secs


async def test_who_is_stuck_is_not_well(systemd: Listener) -> None:
    """There is a lag and nothing moves for too long: the watchdog hears no more."""
    now, lag = 0.0, 5
    notify = Notify({"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "20000"})
    wellbeing = Wellbeing(lambda: [status(lag=lag)], notify, clock=lambda: now)
    task = asyncio.create_task(wellbeing.run())
    async with asyncio.timeout(20):
        while {"WATCHDOG": "1"} not in systemd.heard():
            await asyncio.sleep(0.005)
        now = STUCK_SECS + 1
        await asyncio.sleep(0)
        while {"WATCHDOG": "1"} in systemd.heard():
            await asyncio.sleep(0.05)
        assert ["storage"] == wellbeing.stuck()
        lag = 0
        while {"WATCHDOG": "1"} not in systemd.heard():
            await asyncio.sleep(0.005)
    task.cancel()


@pytest.mark.parametrize("changes", [{"state": "waiting"}, {"lag": 0}, {"lag": None}])
def test_who_has_nothing_to_do_is_well(changes: dict[str, object]) -> None:
    """A database that is away and a topic that is empty are no reason to be ended."""
    now = 0.0
    wellbeing = Wellbeing(lambda: [status(**changes)], Notify({}), clock=lambda: now)
    wellbeing.stuck()
    now = 10 * STUCK_SECS
    assert [] == wellbeing.stuck()


def test_the_line_says_what_was_refused() -> None:
    """State, rate, lag, reason; and why the last reload did not take effect."""
    refused = Reloaded("storage", "refused", reason="storage.yaml:3:5: source.tipic: unknown option")
    line = Wellbeing(lambda: [status(messages_per_sec=1234.0, last_reload=refused)], Notify({})).line()
    assert "storage running, 1,234 messages/s, lag 5; reload refused: storage.yaml:3:5: source.tipic: unknown option" == line


async def test_a_reload_is_told(systemd: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for it: reloading, then ready with what became of it; mended, the line is clean again."""
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    path, topic, store = tmp_path / "contract.yaml", MemoryTopic(*bodies(1), endless=True), MemoryStore()
    path.write_text(text(topic, store))
    async with daemon(path, folder=tmp_path) as running:
        await store.until(lambda s: len(s.messages) == 1)
        systemd.heard()
        path.write_text(text(topic, store).replace("rows_each", "rows_eech"))
        assert {"contract": "refused"} == await running.reload()
        told = [one for one in systemd.heard() if one.keys() & {"RELOADING", "READY"}]
        assert [["RELOADING", "MONOTONIC_USEC"], ["READY", "STATUS"]] == [list(one) for one in told[:2]]
        assert "; reload refused: " in told[1]["STATUS"]
        path.write_text(text(topic, store))
        assert {"contract": "unchanged"} == await running.reload()
        assert "refused" not in systemd.heard()[-1]["STATUS"]


# The journal.


def test_the_journal_is_known_by_its_number(tmp_path: Path) -> None:
    """JOURNAL_STREAM names the very stream; a file, or no file at all, is not it."""
    with (tmp_path / "log").open("w") as stream:
        found = os.fstat(stream.fileno())
        own = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert (True, False, False) == (is_journal(stream, own), is_journal(stream, {}), is_journal(io.StringIO(), own))


@pytest.mark.parametrize(
    ("level", "number"), [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 3)]
)
def test_each_line_has_its_level(level: int, number: int) -> None:
    """journald reads line by line."""
    assert f"<{number}>a\n<{number}>b" == leveled("a\nb", level)


def test_the_journal_has_the_time() -> None:
    """Text loses its time there; JSON stays as it is."""
    record = logging.LogRecord("stockifyd.storage", logging.WARNING, "f", 1, "said", (), None)
    assert "<4>storage  WARNING said" == JournalFormatter(TextFormatter()).format(record)
    assert JournalFormatter(JsonFormatter()).format(record).startswith('<4>{"time": ')


def test_other_streams_get_no_levels() -> None:
    """A terminal shows what is said as it is said."""
    assert "a" == said("a", logging.ERROR, sys.stderr)


def test_a_command_of_a_unit_asks_its_own_daemon(tmp_path: Path) -> None:
    """ExecReload has the folder of its daemon, and looks nowhere else."""
    assert [tmp_path] == places.roots({"RUNTIME_DIRECTORY": str(tmp_path), "STOCKIFYD_RUNTIME": "/elsewhere"})
