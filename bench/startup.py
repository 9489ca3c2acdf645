"""How long commands take to start, beside `python -c pass` in the same run: `python bench/startup.py --modules`.

Goals: `--version` 100 ms, `validate` 300 ms.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PASS = "python -c pass"
SPEC = "pipelines/storage.yaml"
GOALS = {"--version": 100, f"validate {SPEC}": 300}
COMMANDS = ("--version", "--help", f"validate {SPEC}", f"graph {SPEC}", "test pipelines", f"run {SPEC} --help")
SHOWN = 15
_TIMED = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")


def measured(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each command, taken in turn, so that a busy moment meets all of them."""
    ways = {PASS: [sys.executable, "-c", "pass"], **{name: _command(name) for name in COMMANDS}}
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds + 1):
        for name, command in ways.items():
            began = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            found[name].append((time.perf_counter() - began) * 1000)
    return {name: times[1:] for name, times in found.items()}  # the first round writes and warms caches


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "stockifyd", *name.split()]


def table(found: Mapping[str, Sequence[float]]) -> str:
    """Median, least, ratio of the medians, goal."""
    rows = [("command", "ms, median", "ms, least", "ratio", "goal, ms"), ("---",) * 5]
    for name, times in found.items():
        middle, bare = statistics.median(times), statistics.median(found[PASS])
        rows.append((f"`{name}`", f"{middle:.0f}", f"{min(times):.0f}", f"{middle / bare:.1f}", str(GOALS.get(name, "-"))))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def modules(name: str) -> str:
    """Of a command: milliseconds of imports by package, the dearest first (`-X importtime`, which slows them down)."""
    command = [sys.executable, "-X", "importtime", *_command(name)[1:]]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stderr
    spent: dict[str, int] = defaultdict(int)
    for micros, module in _TIMED.findall(told):
        spent[module.partition(".")[0]] += int(micros)
    dearest = sorted(spent.items(), key=lambda item: -item[1])
    lines = [f"{name}: {sum(spent.values()) / 1000:.0f} ms of imports, {len(_TIMED.findall(told))} modules"]
    return "\n".join([*lines, *(f"  {micros / 1000:7.1f}  {package}" for package, micros in dearest[:SHOWN])])


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--modules", action="store_true", help="Also say which packages cost what.")
    asked = parser.parse_args(None if arguments is None else list(arguments))
    print(table(measured(asked.rounds)))
    for name in ("--version", f"validate {SPEC}") if asked.modules else ():
        print(f"\n{modules(name)}")


if __name__ == "__main__":
    main()
