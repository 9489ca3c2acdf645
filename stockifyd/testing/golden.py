"""Golden cases: folders with messages that come in, and the rows and dead letters that must go out.

    cases/a_bad_strike/
      options.yaml                 the options of the transform; none: its defaults
      input.jsonl                  a message a line; or a folder `input`, each of whose files is a message, by name
      expected/quotes.jsonl        the table `quotes`: its columns, then a row a line
      expected/dead_letters.jsonl  offset and reason of each message that is rejected

    @golden(Path(__file__).parent / "cases")
    def test_cases(case: Case) -> None:
        case.check(Flatten)

`STOCKIFYD_GOLDEN=write pytest ...` writes what is made into `expected`: read the difference before you commit it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import unified_diff
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from stockifyd.api import Batch, Span, Transform
from stockifyd.testing.facts import settle
from stockifyd.testing.making import PARTITION, make, make_message

EXPECTED, DEAD_LETTERS = "expected", "dead_letters"


@dataclass(frozen=True)
class Case:
    """One folder."""

    folder: Path

    @cached_property
    def options(self) -> dict[str, Any]:
        """The options, as a spec has them."""
        path = self.folder / "options.yaml"
        return dict(yaml.safe_load(path.read_text("utf-8")) or {}) if path.exists() else {}

    @property
    def batch(self) -> Batch:
        """The messages, at offsets from 0."""
        lines, files = self.folder / "input.jsonl", self.folder / "input"
        bodies = [file.read_bytes() for file in sorted(files.iterdir())] if files.is_dir() else lines.read_bytes().splitlines()
        messages = tuple(make_message(offset, body) for offset, body in enumerate(bodies))
        return Batch(messages, advance={PARTITION: Span(0, len(messages))} if messages else {})

    def check(self, *transforms: type[Transform[Any]] | Transform[Any]) -> None:
        """Run the messages through transforms, and compare; a class is made with the case's options."""
        made = [one if isinstance(one, Transform) else make(one, **self.options) for one in transforms]
        self.compare(asyncio.run(_applied(made, self.batch)))

    def compare(self, batch: Batch) -> None:
        """Rows and dead letters must be those in `expected`; AssertionError shows the lines that differ."""
        made, expected = _rendered(batch), self._expected()
        if os.environ.get("STOCKIFYD_GOLDEN") == "write":
            self._write(made)
            return
        names = sorted(made.keys() | expected.keys())
        differences = [line for name in names for line in _difference(name, expected.get(name, []), made.get(name, []))]
        if differences:
            told = "\n".join(differences)
            hint = "if that is right: STOCKIFYD_GOLDEN=write pytest ..., and look at what it wrote."
            raise AssertionError(f"{self.folder.name}: something else is made\n{told}\nHINT: {hint}")

    def _expected(self) -> dict[str, list[str]]:
        files = (self.folder / EXPECTED).glob("*.jsonl")
        return {file.stem: file.read_text("utf-8").splitlines() for file in files}

    def _write(self, made: Mapping[str, list[str]]) -> None:
        folder = self.folder / EXPECTED
        folder.mkdir(exist_ok=True)
        for name in self._expected().keys() - made.keys():
            (folder / f"{name}.jsonl").unlink()
        for name, lines in made.items():
            (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")


def golden(folder: Path) -> pytest.MarkDecorator:
    """Runs a test once for each case of a folder, as its argument `case`."""
    cases = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not cases:
        raise ValueError(f"there is no case in {folder}")
    return pytest.mark.parametrize("case", [pytest.param(Case(path), id=path.name) for path in cases])


async def _applied(transforms: Iterable[Transform[Any]], batch: Batch) -> Batch:
    for transform in transforms:
        try:
            await transform.open()
            batch = await settle(transform.apply(batch))
        finally:
            await transform.close()
    return batch


def _rendered(batch: Batch) -> dict[str, list[str]]:
    """Each table, and the dead letters if there are any, as lines."""
    made = {name: [_line(table.columns), *map(_line, table.rows)] for name, table in batch.tables.items()}
    letters = [_line({"offset": d.message.position.offset, "reason": d.reason}) for d in batch.rejected]
    return made | ({DEAD_LETTERS: letters} if letters else {})


def _line(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return text.encode(errors="backslashreplace").decode()


def _plain(value: Any) -> str:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _difference(name: str, expected: list[str], made: list[str]) -> list[str]:
    return list(unified_diff(expected, made, f"{EXPECTED}/{name}.jsonl", f"made: {name}", lineterm="", n=1))
