"""What the shape of a test file cannot say: names that the spec must know, and what is there twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stockifyd.cases.model import Case, Expect, Letter
from stockifyd.spec.document import Document
from stockifyd.spec.findings import Path, did_you_mean, quoted
from stockifyd.spec.model import Spec


def check_names(document: Document, cases: Iterable[Case]) -> None:
    """Note cases of one name."""
    first: dict[str, int] = {}
    for index, case in enumerate(cases):
        if case.name in first:
            line = document.mark(("cases", first[case.name])).line
            fact = f"two cases are called {quoted(case.name)}, the first in line {line}"
            document.report(("cases", index, "name"), fact, "say what is different")
        first.setdefault(case.name, index)


@dataclass(frozen=True, slots=True)
class ExpectRules:
    """What may be expected of a case with so many messages (0: nobody knows), behind the components of a spec."""

    document: Document
    spec: Spec
    messages: int

    def check(self, expect: Expect, path: Path) -> None:
        """Note all that can never be."""
        self._keys(expect.after, (*path, "after"), "transform")
        self._keys(expect.sinks, (*path, "sinks"), "sink")
        self._letters(expect.dead_letters, path)
        for name, stage in expect.after.items():
            self._letters(stage.dead_letters or (), (*path, "after", name))
        if expect.error:
            self._stage(expect.error.stage, (*path, "error"))

    def _names(self, role: str) -> list[str]:
        return [one.name for one in (self.spec.sinks if role == "sink" else self.spec.transforms)]

    def _keys(self, given: Mapping[str, Any], path: Path, role: str) -> None:
        for name in given:
            if name not in self._names(role):
                fact = f"pipeline {quoted(self.spec.name)} has no {role} {quoted(name)}"
                self.document.report_key((*path, name), fact, did_you_mean(name, self._names(role)))

    def _stage(self, name: str | None, path: Path) -> None:
        if name is not None and name not in self._names("transform"):
            fact = f"pipeline {quoted(self.spec.name)} has no transform {quoted(name)}"
            self.document.report((*path, "stage"), fact, did_you_mean(name, self._names("transform")))

    def _letters(self, letters: Sequence[Letter], path: Path) -> None:
        for index, letter in enumerate(letters):
            at: Path = (*path, "dead_letters", index)
            self._stage(letter.stage, at)
            if letter.message is not None and 0 < self.messages <= letter.message:
                hint = f"the case has {self.messages}, counted from 0"
                self.document.report((*at, "message"), f"there is no message {letter.message}", hint)
