"""The demo of the whole platform: it proves itself, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from kit.demos import Start, pids_of

pytestmark = pytest.mark.slow

DEMO = ["demo-platform", "--secs", "10"]
SERIES = 15
"""Five symbols, three expiries of each."""
OPTIONS = 500


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_whole(folder: Path, start: Start) -> None:
    """Exit 0: each chain that was polled is in every place once, though a daemon was killed; and nothing is left."""
    demo = start()
    said, _ = demo.communicate(timeout=400)
    assert 0 == demo.returncode, said
    chains = number(re.search(r"topic market\.raw +([\d,]+)\n", said)[1])
    assert chains >= 3 * SERIES
    for topic in ("market.enriched", "market.analytics"):  # at least once
        assert number(re.search(rf"topic {topic} +([\d,]+)", said)[1]) >= chains
    for place, each in {
        "market_snapshots": 1,
        "option_analytics": 1,
        "option_contracts": OPTIONS,
        "option_buildups": OPTIONS,
        "option_recent_buildups": OPTIONS,
        "the exported file": OPTIONS,
    }.items():
        counts = re.search(rf"{place} +([\d,]+) +([\d,]+)\n", said).groups()
        assert (chains, each * chains) == tuple(map(number, counts)), place
    had_history, buildups = map(number, re.search(r"✓ ([\d,]+) of ([\d,]+) build-ups had history", said).groups())
    assert OPTIONS * chains == buildups
    assert 0 < had_history < buildups, "the first chains of a series have none"
    assert re.search(r"kill -9 \d+: processor is gone", said)
    assert re.search(r"processor is started again.*\n(.*\n)*.*processor delivers again", said)
    assert re.search(r"ingestion \d+, \d+\.\d/s, lag - \| processor \d+, \d+\.\d/s, lag \d+", said)
    assert SERIES == len(re.findall(r": (\d+) of \1 intervals, \d+ chains", said)), "each series has an interval to be judged by"
    assert "✓ nothing is missing" in said
    assert ([], []) == (pids_of(folder), list(folder.iterdir()))
    assert "\x1b" not in said


def test_interrupted(folder: Path, start: Start) -> None:
    """Ctrl-C while all is at work: exit 130, no server, no daemon and no file is left."""
    demo = start()
    said = ""
    for line in demo.stdout:
        said += line
        if "have come through" in line:
            break
    daemons = [pid for pid in pids_of(folder) if pid != demo.pid]
    assert len(daemons) >= 4 + 3, said
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=60)
    assert (130, [], []) == (demo.returncode, pids_of(folder), list(folder.iterdir())), said
    assert [] == [pid for pid in daemons if Path(f"/proc/{pid}").exists()]


def test_no_pipelines(start: Start, tmp_path: Path) -> None:
    """A folder without the pipelines: exit 1 before anything is started."""
    demo = start("--pipelines", str(tmp_path))
    said, _ = demo.communicate(timeout=60)
    assert 1 == demo.returncode
    assert f"{tmp_path}/ingestion.yaml: there is no such file" in said
