"""`make mutate`: applies each mutation to a copy of the tree, and names the test that caught it."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECS = 600
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
STARTED = re.compile(r"^(tests/\S+::.+?)(?: (?:PASSED|SKIPPED).*)?$", re.MULTILINE)


def copy_of_tree(folder: Path) -> None:
    """What git knows, as it is in the working tree."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def apply(mutation: Mutation, folder: Path) -> None:
    """Change the copy."""
    for change in mutation.changes:
        path = folder / change.file
        path.write_text(change.applied(path.read_text()))


def first_failure(tests: Sequence[str], folder: Path) -> str:
    """The first test that fails or hangs on the copy; empty if none does."""
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{folder / 'plugins'}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-vv", "--disable-warnings", "-p", "no:cacheprovider", *tests]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT, text=True) as suite:
        try:
            told, _ = suite.communicate(timeout=LIMIT_SECS)
        except subprocess.TimeoutExpired:
            suite.send_signal(signal.SIGINT)  # not killed: it has servers to end
            told, _ = suite.communicate()
            return STARTED.findall(told)[-1].strip()
    found = FAILED.search(told)
    return found[1] if found else ""


@contextmanager
def copied(mutation: Mutation | None) -> Iterator[Path]:
    """A copy of the tree, mutated or not."""
    with tempfile.TemporaryDirectory(prefix="stockifyd-mutation-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        copy_of_tree(folder)
        if mutation:
            apply(mutation, folder)
        yield folder


def run(mutation: Mutation) -> str:
    """The test that catches a mutation. One that fails without it, too, catches nothing."""
    with copied(mutation) as folder:
        test = first_failure(mutation.tests, folder)
    if test:
        with copied(None) as folder:
            if first_failure([test], folder):
                print(f"        {test} fails on the tree as it is", flush=True)
                return ""
    return test


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--only", default="", metavar="WORDS", help="those whose name has these words")
    chosen = [m for m in MUTATIONS if asked.parse_args().only in m.name]
    caught = 0
    for mutation in chosen:
        began = time.monotonic()
        test = run(mutation)
        caught += bool(test)
        print(f"{'caught' if test else 'ALIVE ':6}  {mutation.name:42} {time.monotonic() - began:5.0f} s  {test}", flush=True)
    print(f"{caught} of {len(chosen)} mutations caught")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
