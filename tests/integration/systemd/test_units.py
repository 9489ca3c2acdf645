"""The units under a real systemd: start, stop, reload, crash, watchdog, who may do what, and what the journal has."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.machine import Machine
from kit.units import PROGRAM, Units

EXPOSURE = 1.5
SPEC = """version: 1
name: {name}
source: {{type: generate, template: {{n: "{{n}}"}}, rate_per_sec: 50}}
transforms: [{{type: flatten, table: numbers, columns: {{n: {{type: int}}}}}}]
sinks: [{{type: file, path: "/var/lib/stockifyd/{name}-${{INSTANCE_ID}}/{file}", format: json, table: numbers}}]
"""
BLOCKS = """
import time
from pathlib import Path
from stockifyd.api import Batch, Config, Transform, hookimpl
class NoOptions(Config, frozen=True): ...
class Block(Transform[NoOptions]):
    \"\"\"Blocks the loop for as long as a file is there.\"\"\"
    type = "block"
    def apply(self, batch: Batch) -> Batch:
        while Path("/run/block").exists():
            time.sleep(0.05)
        return batch
@hookimpl
def stockifyd_components():
    return [Block]
"""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Unit:
    """One pipeline as `stockifyd@NAME-1`."""

    units: Units
    name: str

    @property
    def unit(self) -> str:
        return f"stockifyd@{self.name}-1"

    @property
    def machine(self) -> Machine:
        return self.units.machine

    @property
    def state(self) -> Path:
        return Path("/var/lib/stockifyd", f"{self.name}-1")

    @property
    def shown(self) -> dict[str, str]:
        return self.units.show(self.unit)

    def spec(self, file: str = "out.json") -> str:
        return SPEC.format(name=self.name, file=file)

    def write(self, text: str) -> str:
        return self.units.write_spec(self.name, text)

    def systemctl(self, verb: str) -> subprocess.CompletedProcess[str]:
        return self.units.systemctl(verb, self.unit)

    def start(self) -> None:
        done = self.systemctl("start")
        assert 0 == done.returncode, self.units.said(self.unit)

    def until_written(self, file: str = "out.json") -> None:
        """Rows are in a file."""
        self.units.until(lambda: self.machine.call("test", "-s", str(self.state / file)).returncode == 0, self.unit)

    def said(self) -> str:
        return self.units.said(self.unit)


@pytest.fixture
def one(units: Units) -> Iterator[Unit]:
    """A pipeline of this test alone, its spec written, not started."""
    unit = Unit(units, "steady" + "_x" * next(_numbers))
    unit.write(unit.spec())
    yield unit
    units.systemctl("kill", "--signal=KILL", unit.unit)
    units.systemctl("stop", unit.unit)


def test_units_are_clean(units: Units) -> None:
    """`systemd-analyze verify` has nothing to say of what was installed."""
    there = ("stockifyd@storage-1.service", "stockifyd.service", "stockifyd.target")
    done = units.machine.call("systemd-analyze", "verify", "--recursive-errors=no", *there)
    assert (0, "") == (done.returncode, done.stdout + done.stderr)


@pytest.mark.parametrize("unit", ["stockifyd@storage-1.service", "stockifyd.service"])
def test_exposure_is_low(units: Units, unit: str) -> None:
    """`systemd-analyze security` finds little that could be taken away besides."""
    done = units.machine.call("systemd-analyze", "security", "--no-pager", f"--threshold={EXPOSURE * 10:.0f}", unit)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert (0, True) == (done.returncode, float(found[1]) <= EXPOSURE)


def test_installing_again_changes_nothing(units: Units) -> None:
    """Units, group and folders are as they were; nothing is made twice."""
    before = units.machine.tell("systemctl", "cat", "stockifyd@.service", "stockifyd.service", "stockifyd.target")
    done = units.stockifyd("install-units")
    assert (0, False) == (done.returncode, "made" in done.stdout)
    assert before == units.machine.tell("systemctl", "cat", "stockifyd@.service", "stockifyd.service", "stockifyd.target")


def test_only_root_installs(units: Units) -> None:
    """Somebody else is told what to do instead."""
    done = units.stockifyd("install-units", user="nobody", group="nogroup")
    assert (1, True, True) == (done.returncode, "only root may write" in done.stderr, "sudo" in done.stderr)


def test_start_and_stop(one: Unit) -> None:
    """Active when it is ready, with a status line; drained and gone at stop, in time and in order."""
    one.start()
    one.until_written()
    one.units.until(lambda: f"{one.name} running" in one.shown["StatusText"], one.unit)
    assert ("active", "running", "notify") == tuple(one.shown[key] for key in ("ActiveState", "SubState", "Type"))
    assert 0 == one.systemctl("stop").returncode
    assert ("inactive", "success", "0") == tuple(one.shown[key] for key in ("ActiveState", "Result", "ExecMainStatus"))
    said = one.said()
    assert -1 < said.find("instance 1/1 starting") < said.find("SIGTERM: draining") < said.find(" stopped")


def test_runs_as_nobody_known(one: Unit) -> None:
    """A user made up at start, in the group `stockifyd`; what it writes is for that group and not for others."""
    one.start()
    one.until_written()
    user, group = one.machine.tell("stat", "-c", "%u %G", f"/proc/{one.shown['MainPID']}").split()
    assert (True, "stockifyd") == (user not in ("0", "65534"), group)
    assert "640 stockifyd" == one.machine.tell("stat", "-c", "%a %G", str(one.state / "out.json")).strip()


def test_operators_are_of_the_group(one: Unit) -> None:
    """The socket is 0660: the group `stockifyd` may ask, others are told why they may not."""
    one.start()
    socket = f"/run/stockifyd/{one.name}-1/control.sock"
    assert "660 stockifyd socket" == one.machine.tell("stat", "-c", "%a %G %F", socket).strip()
    asked = one.units.stockifyd("status", "--json", user="nobody", group="stockifyd")
    assert one.name in [status["name"] for status in json.loads(asked.stdout)]
    refused = one.units.stockifyd("status", user="nobody", group="nogroup")
    assert (1, True) == (refused.returncode, "open to the group stockifyd" in refused.stderr)


def test_settings_and_secrets_reach_the_spec(one: Unit) -> None:
    """A variable of /etc/stockifyd/*.env and a file of /etc/stockifyd/credentials, both closed to everybody but root."""
    one.machine.write("/etc/stockifyd/rate.env", "TESTS_FILE=named\n", mode=0o600)
    one.machine.write("/etc/stockifyd/credentials/ending", "secret-of-a-file\n", mode=0o600)
    one.write(one.spec("${TESTS_FILE}.${credential:ending}"))
    one.start()
    one.until_written("named.secret-of-a-file")
    assert 1 == one.machine.call("cat", "/etc/stockifyd/rate.env", user="nobody", group="stockifyd").returncode


def test_a_bad_spec_is_not_started_again(one: Unit) -> None:
    """Exit code 78 ends it; the reason is in the journal, as an error."""
    path = one.write(one.spec().replace("rate_per_sec", "rate_per_second"))
    assert 0 != one.systemctl("start").returncode
    assert ("failed", "78", "0") == tuple(one.shown[key] for key in ("ActiveState", "ExecMainStatus", "NRestarts"))
    errors = [text for level, text in one.units.told(one.unit) if level == 3]
    assert any(re.match(re.escape(path) + r":\d+:\d+: source\.rate_per_second: ", text) for text in errors), errors


def test_a_name_that_is_none_is_not_started_again(units: Units) -> None:
    """Neither a spec that is not there nor a number that is none is tried again and again."""
    for unit, code in (("stockifyd@nowhere-1", "78"), ("stockifyd@storage", "2")):
        assert 0 != units.systemctl("start", unit).returncode
        shown = units.show(unit)
        assert ("failed", code, "0") == (shown["ActiveState"], shown["ExecMainStatus"], shown["NRestarts"])


def test_reload_takes_what_is_good(one: Unit) -> None:
    """`systemctl reload` waits until the new spec runs; the process is the same."""
    one.start()
    one.until_written()
    process = one.shown["MainPID"]
    one.write(one.spec("other.json"))
    done = one.systemctl("reload")
    assert (0, "") == (done.returncode, done.stderr)
    one.until_written("other.json")
    assert ("active", process) == (one.shown["ActiveState"], one.shown["MainPID"])


def test_reload_refuses_what_is_bad_and_says_why(one: Unit) -> None:
    """`systemctl reload` fails; status line and journal have the reason; the old spec goes on. Mended, all is well."""
    one.start()
    one.until_written()
    process = one.shown["MainPID"]
    path = one.write(one.spec().replace("rate_per_sec", "rate_per_second"))
    assert 0 != one.systemctl("reload").returncode
    reason = f"{path}:3:"
    status = one.systemctl("status").stdout
    assert (True, True) == (f"reload refused: {reason}" in one.shown["StatusText"], f"refused: {reason}" in status)
    assert ("active", process) == (one.shown["ActiveState"], one.shown["MainPID"])
    one.machine.tell("rm", str(one.state / "out.json"))
    assert one.units.stockifyd("status", f"{one.name}-1").stdout.count("running") == 1
    one.write(one.spec())
    assert 0 == one.systemctl("reload").returncode
    assert "refused" not in one.shown["StatusText"]


def test_reload_refuses_what_cannot_be_opened(one: Unit) -> None:
    """A spec without an error, whose new sink has no place to write to, is refused as well."""
    one.start()
    one.until_written()
    one.write(one.spec("nowhere/out.json"))
    assert 0 != one.systemctl("reload").returncode
    assert "reload refused: " in one.shown["StatusText"]
    assert "active" == one.shown["ActiveState"]


def test_killed_is_started_again(one: Unit) -> None:
    """kill -9: another process, ready again, on the same socket."""
    one.start()
    process = one.shown["MainPID"]
    one.units.systemctl("kill", "--signal=KILL", one.unit)
    one.units.until(lambda: one.shown["NRestarts"] == "1" and one.shown["ActiveState"] == "active", one.unit)
    assert process != one.shown["MainPID"]
    assert 0 == one.units.stockifyd("status", f"{one.name}-1", user="nobody", group="stockifyd").returncode


def test_a_blocked_loop_is_ended_by_the_watchdog(one: Unit) -> None:
    """A plugin that blocks is named in the journal; the process is ended and started again."""
    one.machine.write("/etc/stockifyd/plugins/blocks.py", BLOCKS)
    one.units.change(one.unit, "[Service]\nWatchdogSec=8\nEnvironment=STOCKIFYD_PLUGINS=/etc/stockifyd/plugins/blocks.py\n")
    one.write(one.spec().replace("transforms: [", "transforms: [{type: block}, "))
    one.start()
    one.until_written()
    one.machine.tell("touch", "/run/block")
    one.units.until(lambda: "Watchdog timeout" in str(one.units.journal(one.unit)), one.unit)
    one.machine.tell("rm", "/run/block")
    one.units.until(lambda: one.shown["NRestarts"] != "0" and one.shown["ActiveState"] == "active", one.unit)
    assert f"blocked for over 2 s by 'block' of pipeline '{one.name}', in Block.apply at /etc/stockifyd/plugins/" in one.said()


def test_who_looks_does_not_hold_up_the_end(one: Unit) -> None:
    """A tap that is open when the unit is stopped: drained in time all the same."""
    one.start()
    one.until_written()
    with one.machine.open(PROGRAM, "tap", one.name) as tap:
        assert tap.stdout is not None
        assert tap.stdout.readline()
        assert 0 == one.systemctl("stop").returncode
    assert ("inactive", "success") == (one.shown["ActiveState"], one.shown["Result"])


def test_the_journal_has_levels(one: Unit) -> None:
    """Each line with its own, and without a time of ours."""
    one.start()
    one.until_written()
    one.write("nonsense: [")
    one.systemctl("reload")
    told = one.units.told(one.unit)
    seen = {word: {level for level, text in told if word in text} for word in ("starting", "dead letter", "reload refused")}
    assert {"starting": {6}, "dead letter": {4}, "reload refused": {3}} == seen
    assert [] == [text for _, text in told if re.match(r"\d\d:\d\d:\d\d|<\d>", text)]


def test_the_target_stops_all(units: Units, one: Unit) -> None:
    """`systemctl enable` hangs a pipeline onto stockifyd.target, which starts and stops what hangs there."""
    assert 0 == one.systemctl("enable").returncode
    assert 0 == units.systemctl("start", "stockifyd.target").returncode
    one.units.until(lambda: one.shown["ActiveState"] == "active", one.unit)
    assert 0 == units.systemctl("stop", "stockifyd.target").returncode
    one.units.until(lambda: one.shown["ActiveState"] == "inactive", one.unit)
    assert 0 == one.systemctl("disable").returncode


def test_a_folder_is_one_service(units: Units) -> None:
    """stockifyd.service runs every spec of a folder in one process; all are in its status line."""
    units.machine.tell("sh", "-c", "rm -f /etc/stockifyd/pipelines/*")
    for name in ("left", "right"):
        units.write_spec(name, SPEC.format(name=name, file="out.json").replace(f"{name}-${{INSTANCE_ID}}/out", f"all/{name}"))
    done = units.systemctl("start", "stockifyd")
    assert 0 == done.returncode, units.said("stockifyd")
    assert re.fullmatch(r"left \w+.*; right \w+.*", units.show("stockifyd")["StatusText"])
    written = ("sh", "-c", "test -s /var/lib/stockifyd/all/left.json && test -s /var/lib/stockifyd/all/right.json")
    units.until(lambda: units.machine.call(*written).returncode == 0, "stockifyd")
    assert 0 == units.systemctl("stop", "stockifyd").returncode
    assert "success" == units.show("stockifyd")["Result"]
