"""What an operator does to a running daemon, as he does it: by commands, from another process."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.worker import PROGRAM, environment

DEADLINE_SECS = 60.0


@dataclass
class Desk:
    """A folder of specs, daemons that run some, and commands that look for daemons."""

    folder: Path
    daemons: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, name: str, *, sink: Mapping[str, Any] | None = None, rate: int = 50) -> Path:
        """A pipeline that makes messages and writes them to a file; a transform between."""
        spec = {
            "version": 1,
            "name": name,
            "source": {"type": "generate", "template": {"n": "{n}"}, "rate_per_sec": rate},
            "transforms": [{"type": "decode", "name": "decode", "format": "json"}],
            "sinks": [sink or {"type": "file", "path": f"{name}.jsonl"}],
        }
        path = self.folder / "pipelines" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(yaml.safe_dump(spec, sort_keys=False))
        new.replace(path)
        return path

    def write_confirmed(self, name: str) -> Path:
        """One that has run well after a moment."""
        path = self.write(name)
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"delivery": {"confirm_secs": 0.2}}, sort_keys=False))
        return path

    def until_good(self) -> None:
        """Waits until a spec is kept as one that ran well."""
        self.until(lambda: any((self.folder / "state").rglob("*.yaml")))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A daemon; it answers when this returns."""
        with (self.folder / f"log-{len(self.daemons)}").open("w") as log:
            one = subprocess.Popen([PROGRAM, "run", *arguments], cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        self.daemons.append(one)
        self.until(lambda: (self.folder / "run").exists() and len(list((self.folder / "run").glob(f"*-{one.pid}/*.sock"))) == 1)
        return one

    def call(self, *arguments: str, code: int = 0) -> str:
        """What a command says, with the exit code that it must have."""
        done = self._run(arguments)
        assert code == done.returncode, done.stdout + done.stderr
        return done.stdout + done.stderr

    def status(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.call("status", "--json", *arguments))
        return found

    def until(self, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECS
        while not seen():
            if time.monotonic() > deadline:
                raise AssertionError("\n".join(path.read_text() for path in self.folder.glob("log-*")))
            time.sleep(0.05)

    def until_delivered(self, pipeline: str, more: int = 1) -> int:
        """Waits for so many messages more."""
        first = self.status(pipeline)[0]["messages_delivered"]
        self.until(lambda: bool(self.status(pipeline)[0]["messages_delivered"] >= first + more))
        return int(first)

    def end(self) -> None:
        for one in self.daemons:
            one.kill()
            one.wait()

    def log(self, number: int = 0) -> str:
        return (self.folder / f"log-{number}").read_text()

    def _run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        return environment(STOCKIFYD_RUNTIME=str(self.folder / "run"), XDG_STATE_HOME=str(self.folder / "state"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path)
    yield one
    one.end()


@pytest.fixture
def ticks(desk: Desk) -> Desk:
    """A daemon that runs `ticks`."""
    desk.start(str(desk.write("ticks")))
    desk.until_delivered("ticks")
    return desk


@pytest.mark.parametrize(
    "command", [("status",), ("plan",), ("reload",), ("pause", "ticks"), ("resume", "ticks"), ("tap", "ticks")]
)
def test_without_a_daemon_a_command_says_where_it_looked(desk: Desk, command: tuple[str, ...]) -> None:
    """The folder, and the variable that names another."""
    said = desk.call(*command, code=1)
    assert str(desk.folder / "run") in said
    assert "STOCKIFYD_RUNTIME" in said


def test_daemons_are_found_without_flags(desk: Desk) -> None:
    """Two daemons, one table; a name is enough to tell which is meant."""
    desk.start(str(desk.write("ticks")))
    desk.start(str(desk.write("tocks")))
    assert ["ticks", "tocks"] == sorted(one["name"] for one in desk.status())
    assert "PIPELINE" in (table := desk.call("status"))
    assert "ticks-1" in table
    assert "tocks-1" in table
    assert "running are: ticks-1, tocks-1" in desk.call("pause", "nobody", code=1)
    desk.call("pause", "tocks")
    assert {"ticks": "running", "tocks": "paused"} == {one["name"]: one["state"] for one in desk.status()}


def test_a_daemon_killed_is_not_found(ticks: Desk) -> None:
    """Its socket is there, and nobody behind it."""
    ticks.daemons[0].kill()
    ticks.daemons[0].wait()
    assert "no daemon answers" in ticks.call("status", code=1)


def test_the_next_daemon_takes_away_what_a_killed_one_left(ticks: Desk) -> None:
    """Its folder, and that alone: a daemon that runs keeps its own."""
    ticks.daemons[0].kill()
    ticks.daemons[0].wait()
    second = ticks.start(str(ticks.write("tocks")))
    third = ticks.start(str(ticks.write("tacks")))
    assert {f"tocks-{second.pid}", f"tacks-{third.pid}"} == {path.name for path in (ticks.folder / "run").iterdir()}


def test_a_folder_of_somebody_else_is_not_used(desk: Desk) -> None:
    """Who owns the folder could put a socket of his own in ours' place: there is none, and the rows flow."""
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    (desk.folder / "run").mkdir()
    os.chown(desk.folder / "run", 65534, 65534)
    path = desk.write("ticks")
    with (desk.folder / "log-0").open("w") as log:
        one = subprocess.Popen([PROGRAM, "run", str(path)], cwd=desk.folder, env=desk.environment, stdout=log, stderr=log)
    desk.daemons.append(one)
    desk.until((desk.folder / "ticks.jsonl").exists)
    assert "its folder belongs to somebody else" in desk.log()
    assert [] == list((desk.folder / "run").glob("*/*"))


def test_the_socket_is_for_user_and_group(ticks: Desk) -> None:
    """0660, in a folder of the user's own."""
    [socket] = (ticks.folder / "run").glob("*/control.sock")
    assert 0o660 == stat.S_IMODE(socket.stat().st_mode)
    assert 0o700 == stat.S_IMODE(socket.parent.stat().st_mode)
    ticks.daemons[0].send_signal(signal.SIGTERM)
    assert 0 == ticks.daemons[0].wait(DEADLINE_SECS)
    assert not socket.exists()


def test_pause_and_resume(ticks: Desk) -> None:
    """Nothing is delivered in between; nothing is missing behind it."""
    assert "ticks-1: paused" in ticks.call("pause", "ticks")
    ticks.until(lambda: ticks.status()[0]["messages_delivered"] == ticks.status()[0]["messages_fetched"])
    before = ticks.status()[0]["messages_delivered"]
    time.sleep(0.3)  # fifteen messages would come
    assert before == ticks.status()[0]["messages_delivered"]
    assert "paused" in ticks.call("status")
    assert "ticks-1: resumed" in ticks.call("resume", "ticks-1")
    ticks.until_delivered("ticks", 5)
    numbers = [json.loads(line)["n"] for line in (ticks.folder / "ticks.jsonl").read_text().splitlines()]
    assert numbers == list(range(len(numbers)))


def test_tap_shows_what_passes(ticks: Desk) -> None:
    """At the source bytes, behind a transform values; who has seen enough leaves no trace in the log."""
    source, decoded = (json.loads(ticks.call("tap", "ticks", stage, "--count", "1")) for stage in ("source", "decode"))
    assert {"stage": "source", "topic": "generate"} == {name: source[name] for name in ("stage", "topic")}
    assert {"n": decoded["offset"]} == decoded["value"]
    assert "there are source, decode, sinks" in ticks.call("tap", "ticks", "nowhere", code=1)
    ticks.until_delivered("ticks", 20)
    assert "Traceback" not in ticks.log()


def test_reload_says_what_became_of_it(ticks: Desk) -> None:
    """Exit code 0 where all is as the file says; 1 where it was refused, with the place, the fact and the cure."""
    good = ticks.write("ticks").read_text()
    assert "ticks: unchanged" in ticks.call("reload")
    (ticks.folder / "pipelines" / "ticks.yaml").write_text(good.replace("type: file", "type: fil"))
    said = ticks.call("reload", code=1)
    assert "ticks: refused: " in said
    assert "ticks.yaml:13:9: sinks[0].type: there is no sink 'fil'" in said
    assert "\n  HINT: did you mean 'file'?" in said
    [told] = json.loads(ticks.call("reload", "ticks", "--json", code=1))
    assert ("refused", "did you mean 'file'?") == (told["outcome"], told["hint"])
    assert "there is no sink 'fil'" in ticks.call("status")
    ticks.until_delivered("ticks", 5)
    (ticks.folder / "pipelines" / "ticks.yaml").write_text(good.replace("path: ticks.jsonl", "path: other.jsonl"))
    ticks.until(lambda: "refused" not in ticks.call("reload"))
    ticks.until((ticks.folder / "other.jsonl").exists)
    assert ticks.status()[0]["last_reload"]["outcome"] == "applied"


def test_plan_compares_with_what_last_ran_well(desk: Desk) -> None:
    """What differs, what that restarts, and whether the group rebalances."""
    path = desk.write_confirmed("ticks")
    assert "ticks: would be started" in desk.call("plan", str(path))
    desk.start(str(path))
    assert "ticks: unchanged" in desk.call("plan")
    desk.until_good()
    desk.end()
    good = path.read_text()
    assert "nothing has changed" in desk.call("plan", str(path))
    path.write_text(good.replace("path: ticks.jsonl", "path: other.jsonl"))
    assert "does not rebalance" in desk.call("plan", str(path))
    path.write_text(good.replace("rate_per_sec: 50", "rate_per_sec: 60"))
    assert '"rebalances": true' in desk.call("plan", str(path), "--json")


def test_last_good_runs_only_when_asked(desk: Desk) -> None:
    """A restart with a broken file ends with 78; with --last-good it runs the copy."""
    path = desk.write_confirmed("ticks")
    first = desk.start(str(path))
    desk.until_good()
    first.send_signal(signal.SIGTERM)
    assert 0 == first.wait(DEADLINE_SECS)
    path.write_text("version: 1\nname: ticks\nsource: {type: nothing}\n")
    assert "there is no source 'nothing'" in desk.call("run", str(path), code=78)
    desk.start(str(path), "--last-good")
    desk.until_delivered("ticks")


def test_a_process_that_may_not_see_finds_nothing(ticks: Desk) -> None:
    """Another user is told that no daemon answers, not a traceback."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    ticks.folder.joinpath("run").chmod(0o700)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-m", "stockifyd", "status"],
        cwd="/", env=environment(STOCKIFYD_RUNTIME=str(ticks.folder / "run")), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert 0 != done.returncode
