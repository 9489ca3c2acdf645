"""A stranger's first hour: every block of docs/writing-a-sink.md, in order, in one folder and a fresh environment."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kit.documents import ROOT, Block, blocks
from kit.environments import Environment

DOCUMENT = ROOT / "docs" / "writing-a-sink.md"


UNTIL_IT_RUNS = "timeout 120 bash -c 'until stockifyd status | grep -q running; do sleep 0.2; done' 2>&1"


class Stranger(ExitStack):
    """Types what a document says, saves what it tells to save, and compares what is printed with what it shows."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        super().__init__()
        self.environment, self.folder = environment, folder
        self.printed: Iterator[str] = iter(())

    def do(self, block: Block) -> None:
        """One block, as its mark says."""
        match block.mark.split():
            case ["sh", "step", *fails]:
                answer = self.environment.shell(block.text, cwd=self.folder, must_fail=bool(fails))
                self.printed = iter(answer.splitlines())
            case ["sh", "beside"]:
                self.enter_context(self.environment.beside(block.text, cwd=self.folder))
                self.environment.shell(UNTIL_IT_RUNS, cwd=self.folder)
            case ["text"]:
                self.check(block)
            case [_, "save", name]:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
            case [_, "is", name]:
                assert (self.folder / name).read_text() == block.text, name
            case [_, "in", name]:
                assert block.text in (self.folder / name).read_text(), name
            case _:
                raise AssertionError(f"{block}: nobody runs a block that is marked {block.mark!r}")

    def check(self, block: Block) -> None:
        """Each line that is shown is part of a line that was printed, in this order."""
        for line in block.lines:
            assert any(line in printed for printed in self.printed), f"{block}: {line!r} was not printed, or not then"


@pytest.mark.slow
def test_from_nothing_to_rows(workshop: Environment, tmp_path: Path) -> None:
    """All of it works, in this order, and prints what it says."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    steps = [block for block in blocks() if block.path == DOCUMENT and block.mark != "sh by hand"]
    with Stranger(workshop, tmp_path) as stranger:
        for block in steps:
            stranger.do(block)
    assert len([block for block in steps if block.mark.startswith("sh step")]) > 10
