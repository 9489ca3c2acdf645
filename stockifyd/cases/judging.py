"""What a case left beside what it expects: each thing that is not so, at its place in the test file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stockifyd.api import Batch, DeadLetter
from stockifyd.cases.comparing import Part, Rule, cells
from stockifyd.cases.drawing import shown
from stockifyd.cases.listing import Listing
from stockifyd.cases.model import Expect, Failing, Kept, Letter, Rows, Values
from stockifyd.cases.recording import Taken
from stockifyd.cases.running import Raised, Trace
from stockifyd.spec.document import Document
from stockifyd.spec.findings import Finding, Path, did_you_mean, quoted


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is not as expected. `is_error`: an error that nobody expects; `drawing`: expected beside found."""

    finding: Finding
    drawing: str = ""
    is_error: bool = False

    def __str__(self) -> str:
        return f"{self.finding}\n{textwrap.indent(self.drawing, '    ')}" if self.drawing else str(self.finding)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges one case, whose expectations stand at `path` of a document."""

    document: Document
    path: Path
    tolerance: float = 0.0

    def failures(self, expect: Expect, trace: Trace) -> Iterator[Failure]:
        """All that is not as expected, in the order in which messages meet it."""
        yield from self._error(expect.error, trace.raised)
        for name, stage in expect.after.items():
            path: Path = (*self.path, "after", name)
            if name in trace.after:
                yield from self._kept(stage, trace.after[name], path)
                if stage.dead_letters is not None:
                    yield from self._letters(stage.dead_letters, trace.after[name].rejected, path)
            elif expect.error:
                yield self._failure(path, f"transform {quoted(name)} was not left, because of an error")
        last = trace.end or next(reversed(trace.after.values()), None)
        if last is not None:
            yield from self._letters(expect.dead_letters, last.rejected, self.path)
        if trace.end is not None:
            yield from self._kept(expect, trace.end, self.path)
            yield from self._sinks(expect.sinks, trace.sinks)
        elif expect.error and (expect.tables or expect.messages or expect.sinks):
            yield self._failure(self.path, "nothing leaves the last transform, because of an error", "expect it `after:` one")

    def _failure(self, path: Path, fact: str, hint: str = "", *, is_error: bool = False) -> Failure:
        return Failure(self.document.finding(path, fact, hint), is_error=is_error)

    def _error(self, expected: Failing | None, raised: Raised | None) -> Iterator[Failure]:
        path: Path = (*self.path, "error")
        if raised is None:
            if expected is not None:
                yield self._failure(path, "no transform raised an error")
            return
        told = f"transform {quoted(raised.stage)} raised {raised.type}: {raised.reason}"
        if expected is None:
            yield self._failure(self.path, told, raised.hint, is_error=True)
            return
        found = {"stage": raised.stage, "type": raised.type, "reason": raised.reason, "reason_has": raised.reason}
        for cell in cells(_named(expected), found, Rule()):
            if not cell.equal:
                fact = f"expected {shown(cell.expected)}, found {shown(cell.found)}: {told}"
                yield self._failure((*path, *cell.path), fact, raised.hint)

    def _kept(self, kept: Kept, batch: Batch, path: Path) -> Iterator[Failure]:
        for name, rows in kept.tables.items():
            table = batch.tables.get(name)
            if table is None:
                there = did_you_mean(name, batch.tables) or "there is none"
                yield self._failure((*path, "tables", name), f"there is no table {quoted(name)}", there)
            else:
                yield from self._several(rows, list(table.dicts()), (*path, "tables", name))
        if kept.messages is not None:
            yield from self._several(kept.messages, [m.value for m in batch.messages], (*path, "messages"))

    def _several(self, expected: Rows | Values, found: Sequence[Any], path: Path) -> Iterator[Failure]:
        what, key, all_of = ("row", "rows", expected.rows) if isinstance(expected, Rows) else ("value", "values", expected.values)
        tolerance = self.tolerance if expected.tolerance is None else expected.tolerance
        rule = Rule(expected.match == "exact", tolerance)
        if expected.count is not None and expected.count != len(found):
            yield self._failure((*path, "count"), f"expected {expected.count}, found {len(found)}")
        if all_of is not None:
            yield from self._listed(Listing(what, all_of, found, rule, expected.order == "given"), (*path, key))
        yield from self._listed(Listing(what, expected.include, found, rule, others=True), (*path, "include"))

    def _letters(self, expected: Sequence[Letter], found: Sequence[DeadLetter], path: Path) -> Iterator[Failure]:
        parts = any(letter.reason_has is not None for letter in expected)
        letters = [_of_letter(letter, parts=parts) for letter in found]
        listing = Listing("dead letter", [_named(letter) for letter in expected], letters, Rule(), ordered=False)
        yield from self._listed(listing, (*path, "dead_letters"))

    def _sinks(self, expected: Mapping[str, Kept], taken: Mapping[str, Taken]) -> Iterator[Failure]:
        for name, of_sink in taken.items():
            for missing in of_sink.missing:
                yield self._failure((*self.path, "sinks", name), missing.fact, missing.hint)
            if name in expected:
                yield from self._kept(expected[name], of_sink.batch, (*self.path, "sinks", name))

    def _listed(self, listing: Listing, path: Path) -> Iterator[Failure]:
        if (difference := listing.difference()) is not None:
            finding = self.document.finding((*path, *difference.path), difference.fact, difference.hint)
            yield Failure(finding, difference.drawing)


def _named(one: Letter | Failing) -> dict[str, Any]:
    """What is named of a dead letter or an error, as it is compared."""
    given = {name: getattr(one, name) for name in one.__struct_fields__ if getattr(one, name) is not None}
    return given if "reason_has" not in given else {**given, "reason_has": Part(given["reason_has"])}


def _of_letter(letter: DeadLetter, *, parts: bool) -> dict[str, Any]:
    found = {
        "message": letter.message.position.offset,
        "stage": letter.stage,
        "reason": letter.reason,
        "reason_has": letter.reason,
        "code": letter.code,
    }
    return found if parts else {name: value for name, value in found.items() if name != "reason_has"}
