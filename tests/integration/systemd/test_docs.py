"""docs/systemd.md on a real systemd: its blocks run as they stand, one after the other, and its transcript is true."""

from __future__ import annotations

import re

import pytest

from kit.documents import Block, blocks, marked
from kit.units import HOME, Units

STORAGE = "/etc/stockifyd/pipelines/storage.yaml"
UNIT = "stockifyd@storage-1"


@pytest.fixture(scope="module")
def read(units: Units) -> Units:
    """A machine whose operator has read up to the last block."""
    for block in marked("sh systemd")[:-1]:
        run(units, block)
    return units


def run(units: Units, block: Block) -> None:
    done = units.machine.call("bash", "-e", "-c", f"cd {HOME}/source\n{block.text}")
    assert 0 == done.returncode, f"{block}: {done.stdout}{done.stderr}\n{units.said(UNIT)}"


def told(text: str) -> set[str]:
    """Of a transcript, what stockifyd says of a refusal, and what systemd makes of it."""
    lines = [re.sub(r"^\w{3} \d\d [\d:]{8} \S+ ", "", line) for line in text.splitlines()]
    return {
        re.sub(r"\[\d+\]", "[]", line) for line in lines if re.search(r"[Rr]efused(?!: tables)|HINT|[Rr]eload.* failed", line)
    }


def test_blocks_run(read: Units) -> None:
    """Installing, starting, reloading, a drop-in: all of it works in this order, though no server is there."""
    shown = [read.show(f"stockifyd@storage-{number}") for number in (1, 2)]
    assert ["active", "active"] == [one["ActiveState"] for one in shown]
    assert str(2 * 1024**3) == shown[0]["MemoryMax"]


def test_the_transcript_is_true(read: Units) -> None:
    """What the text shows of a reload that was refused is what systemctl prints."""
    [shown] = [block.text for block in blocks() if block.path.name == "systemd.md" and "# systemctl reload" in block.text]
    read.machine.tell("sed", "-i", "s/type: flatten_chain/type: flaten_chain/", STORAGE)
    reload, status = read.systemctl("reload", UNIT), read.systemctl("status", "--lines=40", UNIT)
    expected = {line for line in told(shown) if "Status:" not in line}
    assert (1, set()) == (reload.returncode, expected - told(status.stdout))
    assert reload.stderr in shown
    [line] = re.findall(r"; reload refused: .*\"", shown.partition("Status:")[2].splitlines()[0])
    assert line.strip('"') in read.show(UNIT)["StatusText"]


def test_the_end(read: Units) -> None:
    """The last block stops what runs."""
    run(read, marked("sh systemd")[-1])
    for number in (1, 2):
        unit = f"stockifyd@storage-{number}"
        read.until(lambda: read.show(unit)["ActiveState"] == "inactive", unit)  # noqa: B023
        assert "success" == read.show(unit)["Result"]
    read.machine.tell("systemctl", "disable", "stockifyd@storage-1", "stockifyd@storage-2", "stockifyd.target")
    read.machine.tell("rm", "-r", STORAGE, "/etc/stockifyd/storage.env", "/etc/systemd/system/stockifyd@.service.d")
    read.machine.tell("systemctl", "daemon-reload")
