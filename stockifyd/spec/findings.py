"""What is wrong in a spec, where, and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Path = tuple[str | int, ...]
"""Keys and indexes from the root of a document down to a node."""

SHOWN = 60
"""Foreign text is cut after this many characters."""

LISTED = 12
"""Lists are cut after this many words."""


class Mark(NamedTuple):
    """A place in a file, counted from 1, as editors do."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (`error`: the spec cannot run) or doubtful (`warning`)."""

    file: str
    mark: Mark
    path: str
    fact: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    @property
    def told(self) -> str:
        """One line, without the hint."""
        where = f"{self.file}:{self.mark.line}:{self.mark.column}:"
        parts = [where, "warning:" if self.severity == "warning" else "", f"{self.path}:" if self.path else "", self.fact]
        return " ".join(part for part in parts if part)

    def __str__(self) -> str:
        return f"{self.told}\n  HINT: {self.hint}" if self.hint else self.told


def dotted(path: Path) -> str:
    """`sinks[0].tables` for ("sinks", 0, "tables")."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("_", "").replace("-", "").isalnum():
            text += f".{clipped(step)}" if text else clipped(step)
        else:
            text += f"[{quoted(step)}]"
    return text


def quoted(text: str) -> str:
    """Foreign text, safe to print: in quotes, on one line, not too long."""
    return repr(clipped(text))


def clipped(text: str) -> str:
    """Text, cut where it is too long to be read."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def one_line(text: str) -> str:
    """Text of others, made printable: no line breaks, no control characters."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or what there is to choose from, or nothing."""
    choices = sorted(set(known))
    close = difflib.get_close_matches(word[:SHOWN], choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {listed(choices)}" if choices else ""


def listed(words: Iterable[object], last: str = "and") -> str:
    """`a, b and c`; a long list is cut."""
    *most, final = [clipped(str(word)) for word in words] or [""]
    if len(most) > LISTED:
        return f"{', '.join(most[:LISTED])} {last} {len(most) + 1 - LISTED} more"
    return f"{', '.join(most)} {last} {final}" if most else final
