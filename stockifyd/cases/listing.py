"""A list that is expected beside the list that was found: the first thing that differs, and all of it drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stockifyd.cases.comparing import ABSENT, Cell, Rule, cells, opened
from stockifyd.cases.drawing import Line, draw, leaves, shown
from stockifyd.cases.pairing import Pair, in_any_order, in_order
from stockifyd.spec.findings import Path, did_you_mean


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as expected; `path` is where, below the list."""

    path: Path
    fact: str
    hint: str = ""
    drawing: str = ""


@dataclass(frozen=True)
class Listing:
    """Two lists of `what` ("row"), to be compared. `others`: more may be there than is expected."""

    what: str
    expected: Sequence[Any]
    found: Sequence[Any]
    rule: Rule
    ordered: bool = True
    others: bool = False

    def difference(self) -> Difference | None:
        """None if all is as expected."""
        wrong = [pair for pair in self._pairs if not self._is_well(pair)]
        if not wrong:
            return None
        path, fact = self._first(wrong[0])
        hint = next((hint for pair in wrong if (hint := self._hint(pair))), "")
        if len(wrong) > 1:
            fact = f"{fact}; {len(wrong) - 1} more {'differs' if len(wrong) == 2 else 'differ'}"  # noqa: PLR2004
        return Difference(path, fact, hint, self._drawing())

    @cached_property
    def _pairs(self) -> list[Pair]:
        counts = len(self.expected), len(self.found)
        if self.ordered and not self.others:
            return in_order(self._same, *counts)
        pairs = in_any_order(self._same, self._likeness, *counts)
        return [pair for pair in pairs if pair[0] is not None] if self.others else pairs

    def _cells(self, i: int, j: int) -> list[Cell]:
        return list(cells(self.expected[i], self.found[j], self.rule))

    def _same(self, i: int, j: int) -> bool:
        return all(cell.equal for cell in cells(self.expected[i], self.found[j], self.rule))

    def _likeness(self, i: int, j: int) -> int:
        return sum(cell.equal for cell in self._cells(i, j))

    def _is_well(self, pair: Pair) -> bool:
        i, j = pair
        return i is not None and j is not None and self._same(i, j)

    def _first(self, pair: Pair) -> tuple[Path, str]:
        i, j = pair
        counted = f"expected {_count(len(self.expected), self.what)}, found {len(self.found)}"
        if i is None:
            return (), f"{self.what} [{j}] is not expected: {counted}"
        if j is None:
            return (i,), f"there is no such {self.what}" + ("" if self.others else f": {counted}")
        cell = next(cell for cell in self._cells(i, j) if not cell.equal)
        return (i, *cell.path), f"expected {shown(cell.expected)}, found {shown(cell.found)}"

    def _hint(self, pair: Pair) -> str:
        i, j = pair
        hints = (_meant(cell, self.found[j]) for cell in self._cells(i, j)) if i is not None and j is not None else ()
        return next((hint for hint in hints if hint), "")

    def _drawing(self) -> str:
        lines = [line for pair in self._pairs for line in self._lines(pair)]
        paths = dict.fromkeys(path for line in lines if line.sign != "+" or line.marks for path in line.cells)
        return draw(lines, list(paths) or list(dict.fromkeys(path for line in lines for path in line.cells)))

    def _lines(self, pair: Pair) -> list[Line]:
        i, j = pair
        if i is None or j is None:
            sign, label, value = ("-", i, self.expected[i]) if i is not None else ("+", j, self.found[j or 0])
            return [Line(sign, f"[{label}]", dict(leaves(value)))]
        compared = self._cells(i, j)
        differing = frozenset(cell.path for cell in compared if not cell.equal)
        found = Line("+", f"[{j}]", _side(compared, lambda cell: cell.found), differing)
        if differing:
            return [Line("-", f"[{i}]", _side(compared, lambda cell: cell.expected)), found]
        return [Line(" ", found.label, found.cells)]


def _side(compared: Sequence[Cell], of: Callable[[Cell], Any]) -> Mapping[Path, Any]:
    return {cell.path: of(cell) for cell in compared}


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _meant(cell: Cell, found: Any) -> str:
    """Of a name that is not there: which one may be meant."""
    if cell.found is not ABSENT or not cell.path or not isinstance(cell.path[-1], str):
        return ""
    for step in cell.path[:-1]:
        found = opened(found)[step]
    beside = opened(found)
    return f"{cell.path[-1]}: {did_you_mean(cell.path[-1], beside)}" if isinstance(beside, dict) and beside else ""
