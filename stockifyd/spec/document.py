"""A spec as data, each value tied to its place in the file, with all that was found in it so far."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal

from stockifyd.spec.findings import Finding, Mark, Path, dotted, one_line, quoted
from stockifyd.spec.interpolate import Interpolated, Surroundings, interpolate
from stockifyd.spec.nodes import ListNode, MapNode, Node, ScalarNode, Unreadable, decode, parse
from stockifyd.spec.scalars import resolve

MAX_FINDINGS = 100
SHORT = 6
"""A resolved value shorter than this is taken out of messages only where it stands as a word of its own."""


@dataclass(slots=True)
class Filled:
    """A scalar with placeholders: as written, its text, the value that the text stands for. `missing`: nobody knows the text."""

    raw: str
    text: str
    value: Any
    missing: bool


@dataclass(slots=True)
class Document:
    """One file. `data` is plain values; `filled` are the scalars that came from outside."""

    file: str
    root: Node = field(default_factory=lambda: MapNode(Mark()))
    data: Any = None
    filled: dict[Path, Filled] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def report(self, path: Path, fact: str, hint: str = "", *, severity: Literal["error", "warning"] = "error") -> None:
        """Note a finding at the value of a path, or as near to it as the file goes."""
        self.note(self.mark(path), path, fact, hint, severity=severity)

    def report_key(self, path: Path, fact: str, hint: str = "") -> None:
        """Note a finding at the key that a path ends with."""
        parent = self.node(path[:-1])
        mark = parent.keys.get(str(path[-1])) if isinstance(parent, MapNode) else None
        self.note(mark or self.mark(path), path, fact, hint)

    def finding(self, path: Path, fact: str, hint: str = "") -> Finding:
        """What is wrong at the value of a path, for the caller to keep."""
        return Finding(self.file, self.mark(path), dotted(path), one_line(fact), one_line(hint))

    def note(self, mark: Mark, path: Path, fact: str, hint: str = "", *, severity: Literal["error", "warning"] = "error") -> None:
        finding = Finding(self.file, mark, dotted(path), one_line(fact), one_line(hint), severity)
        room = sum(f.severity == severity for f in self.findings) < MAX_FINDINGS  # warnings must not crowd out an error
        if room and finding not in self.findings:
            self.findings.append(finding)

    @property
    def full(self) -> bool:
        """Enough was found; more would not be read."""
        return sum(f.severity == "error" for f in self.findings) >= MAX_FINDINGS

    @property
    def failed(self) -> bool:
        """An error was found."""
        return any(f.severity == "error" for f in self.findings)

    def node(self, path: Path) -> Node:
        """The node at a path, or the deepest that is there."""
        node = self.root
        for step in path:
            below = _below(node, step)
            if below is None:
                break
            node = below
        return node

    def mark(self, path: Path) -> Mark:
        """Where the value of a path stands."""
        return self.node(path).mark

    def value(self, path: Path) -> Any:
        """The value at a path; None where there is none."""
        value = self.data
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def put(self, path: Path, value: Any) -> None:
        """Replace a value."""
        if path:
            self.value(path[:-1])[path[-1]] = value
        else:
            self.data = value

    def missing_below(self, path: Path) -> bool:
        """Is anything at or below a path unknown, because nothing stands behind a placeholder?"""
        return any(filled.missing and at[: len(path)] == path for at, filled in self.filled.items())

    def scrub(self, text: str) -> str:
        """Text in which values from outside are as the file has them: they may be secrets."""
        for filled in sorted(self.filled.values(), key=lambda f: -len(f.text)):
            for shown in {filled.text, repr(filled.text)[1:-1]}:
                if not filled.missing and shown and shown in text:
                    pattern = re.escape(shown) if len(shown) >= SHORT else rf"(?<!\w){re.escape(shown)}(?!\w)"
                    text = re.sub(pattern, filled.raw.replace("\\", r"\\"), text)
        return text


def _below(node: Node, step: str | int) -> Node | None:
    if isinstance(node, MapNode):
        return node.items.get(str(step))
    return node.items[step] if isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items) else None


def read(file: str, content: bytes, environ: Mapping[str, str] | None, *, strict: bool) -> Document:
    """The document in a file's bytes. `strict`: a placeholder that nothing stands behind is an error, else a warning.

    Without `environ` there are no placeholders: a dollar is a dollar.
    """
    document = Document(file)
    try:
        document.root, flaws = parse(decode(content))
    except Unreadable as why:
        document.note(why.mark, (), why.fact, why.hint)
        return document
    for flaw in flaws:
        document.note(flaw.mark, (), flaw.fact, flaw.hint)
    around = None if environ is None else Surroundings(environ, FilePath(file).parent)
    reader = _Reader(document, around, strict=strict)
    document.data = reader.value(document.root, ())
    return document


class _Reader:
    """Turns nodes into values. Recursion is bounded: nodes are no deeper than MAX_DEPTH."""

    def __init__(self, document: Document, around: Surroundings | None, *, strict: bool) -> None:
        self._document, self._around = document, around
        self._severity: Literal["error", "warning"] = "error" if strict else "warning"

    def value(self, node: Node, path: Path) -> Any:
        if isinstance(node, MapNode):
            return {key: self.value(below, (*path, key)) for key, below in node.items.items()}
        if isinstance(node, ListNode):
            return [self.value(below, (*path, i)) for i, below in enumerate(node.items)]
        if "$" in node.text and self._around is not None:
            return self._interpolated(node, self._around, path)
        return self._typed(node.text, node, path)

    def _interpolated(self, node: ScalarNode, around: Surroundings, path: Path) -> Any:
        done = interpolate(node.text, around)
        self._tell(done, path)
        unknown = bool(done.missing or done.wrong)
        value = node.text if unknown else self._typed(done.text, node, path)
        if (done.used or unknown) and path not in self._document.filled:
            self._document.filled[path] = Filled(node.text, done.text, value, missing=unknown)
        return value

    def _tell(self, done: Interpolated, path: Path) -> None:
        for fact, hint in done.missing:
            self._document.report(path, fact, hint, severity=self._severity)
        for fact, hint in done.wrong:
            self._document.report(path, fact, hint)

    def _typed(self, text: str, node: ScalarNode, path: Path) -> Any:
        value = resolve(text) if node.plain else text
        if isinstance(value, float) and not math.isfinite(value):
            self._document.report(path, f"{quoted(node.text)} is not a finite number", "quote it if it is a word")
            self._document.filled[path] = Filled(node.text, text, text, missing=True)  # no second finding about it
            return text
        return value
