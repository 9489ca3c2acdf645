"""Expected rows beside those found, for people: aligned in columns, with a mark below each cell that differs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from stockifyd.cases.comparing import ABSENT, Part, opened
from stockifyd.spec.findings import Path, dotted, one_line
from stockifyd.spec.scalars import resolve

MOST_SHOWN = 10
"""So many rows that differ; the others are counted."""

WIDEST_CELL = 32
WIDEST = 120


@dataclass(frozen=True, slots=True)
class Line:
    """A row as it is drawn. Sign: `-` expected, `+` found, a blank for both; `marks`: the cells that differ."""

    sign: str
    label: str
    cells: Mapping[Path, Any]
    marks: frozenset[Path] = frozenset()


def draw(lines: Sequence[Line], columns: Sequence[Path]) -> str:
    """The rows as a table. Columns that do not differ give way where it gets too wide."""
    differing = {path for line in lines for path in line.marks}
    shown, widths = list(columns), {path: _width(path, lines) for path in columns}
    while len(shown) > 1 and sum(widths[path] + 2 for path in shown) > WIDEST:
        droppable = [path for path in shown if path not in differing]
        shown.remove(droppable[-1] if droppable else shown[-1])
    label = max((len(line.label) for line in lines), default=0)
    text = [_joined(" ", " " * label, [(_title(path), widths[path]) for path in shown])]
    for line in _shortened(lines):
        text.append(_row(line, shown, label, widths))
        if marked := line.marks.intersection(shown):
            text.append(_joined(" ", " " * label, [(_underline(line, path, marked), widths[path]) for path in shown]))
    if hidden := len(columns) - len(shown):
        text.append(f"  (and {hidden} column{'' if hidden == 1 else 's'} more)")
    return "\n".join(text)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The values in a value, each with where it is."""
    value = opened(value)
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    empty = True
    for key, below in items:
        empty = False
        yield from leaves(below, (*path, key))
    if empty:
        yield path, value


def shown(value: Any) -> str:
    """A value as a test file would have it."""
    match value:
        case Part():
            text = f"...{value.text}..."
        case str():
            is_plain = value and resolve(value) == value and value == value.strip()
            text = value if is_plain else json.dumps(value, ensure_ascii=False)
        case datetime():
            text = (value.astimezone(UTC).isoformat().replace("+00:00", "Z")) if value.tzinfo else value.isoformat()
        case date() | time():
            text = value.isoformat()
        case bytes():
            text = value.decode(errors="backslashreplace")
        case None | bool() | int() | float() | dict() | list():
            text = json.dumps(value, ensure_ascii=False, default=str)
        case _:
            text = "(nothing)" if value is ABSENT else str(value)
    return one_line(text)


def _shortened(lines: Sequence[Line]) -> Iterator[Line]:
    """The first rows that differ, with the row on either side of them; the others are counted."""
    differs = [index for index, line in enumerate(lines) if line.sign != " "]
    last = differs[min(len(differs), 2 * MOST_SHOWN) - 1] if differs else -1
    near = {at for index in differs if index <= last for at in (index - 1, index, index + 1)}
    left_out = 0
    for index, line in enumerate(lines):
        if index in near and (line.sign == " " or index <= last):
            if left_out:
                yield Line(" ", f"... {left_out} more", {})
            yield line
            left_out = 0
        else:
            left_out += 1
    if left_out:
        yield Line(" ", f"... {left_out} more", {})


def _row(line: Line, columns: Sequence[Path], label: int, widths: Mapping[Path, int]) -> str:
    if not line.cells:
        return f"  {line.label}"
    return _joined(line.sign, line.label.ljust(label), [(_cell(line, path), widths[path]) for path in columns])


def _joined(sign: str, label: str, cells: Iterable[tuple[str, int]]) -> str:
    return "  ".join([f"{sign} {label}", *(text.ljust(width) for text, width in cells)]).rstrip()


def _cell(line: Line, path: Path) -> str:
    text = shown(line.cells[path]) if path in line.cells else ""
    return text if len(text) <= WIDEST_CELL else f"{text[: WIDEST_CELL - 3]}..."


def _title(path: Path) -> str:
    text = dotted(path) or "value"
    return text if len(text) <= WIDEST_CELL else f"...{text[3 - WIDEST_CELL :]}"


def _underline(line: Line, path: Path, marked: Iterable[Path]) -> str:
    return "^" * max(len(_cell(line, path)), 1) if path in marked else ""


def _width(path: Path, lines: Iterable[Line]) -> int:
    return max(len(_title(path)), *(len(_cell(line, path)) for line in lines))
