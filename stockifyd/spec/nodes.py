"""YAML into nodes that know where they stand; what could surprise (anchors, tags, duplicate keys) is a finding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from stockifyd.spec.findings import Mark, one_line, quoted

MAX_BYTES = 2**20
MAX_DEPTH = 64
MAX_NODES = 20_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class ScalarNode:
    """A word or number, as written; `plain` if without quotes."""

    mark: Mark
    text: str
    plain: bool = True


@dataclass(slots=True)
class ListNode:
    """A sequence."""

    mark: Mark
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class MapNode:
    """A mapping; `keys` says where each key stands."""

    mark: Mark
    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Mark] = field(default_factory=dict)


Node = ScalarNode | ListNode | MapNode


class Unreadable(Exception):
    """The text is not one YAML document; reading stops here."""

    def __init__(self, mark: Mark, fact: str, hint: str = "") -> None:
        super().__init__(fact)
        self.mark, self.fact, self.hint = mark, fact, hint


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something refused in an otherwise readable document."""

    mark: Mark
    fact: str
    hint: str = ""


def decode(data: bytes) -> str:
    """The text of a file; Unreadable if it is too big or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise Unreadable(Mark(), f"the file has {len(data)} bytes, the most is {MAX_BYTES}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            _mark_at(data[: error.start].decode("utf-8", "replace")), "not UTF-8 text", "save the file as UTF-8"
        ) from error


def parse(text: str) -> tuple[Node, list[Flaw]]:
    """The one document in a text. Own loop over events: no recursion, so that no depth can crash it."""
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.YAMLError as error:
        raise _unreadable(text, error) from error
    if builder.root is None:
        raise Unreadable(Mark(), "the file is empty", "a spec starts with `version: 1`")
    return builder.root, builder.flaws


class _Builder:
    """Puts events together to nodes."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.flaws: list[Flaw] = []
        self._open: list[ListNode | MapNode] = []
        self._key: list[str | None] = []  # of each open node: the key whose value comes next
        self._count = 0

    def take(self, event: Any) -> None:
        mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1) if event.start_mark else Mark()
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise Unreadable(mark, "a second document starts here", "write one pipeline a file")
        if isinstance(event, yaml.NodeEvent):
            self._refuse(event, mark)
            self._node(event, mark)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._open.pop()
            self._key.pop()

    def _refuse(self, event: yaml.NodeEvent, mark: Mark) -> None:
        if isinstance(event, yaml.AliasEvent):
            self.flaws.append(Flaw(mark, f"alias *{one_line(str(event.anchor))} is not allowed", "write the value out"))
        elif event.anchor is not None:
            fact = f"anchor &{one_line(str(event.anchor))} is not allowed"
            self.flaws.append(Flaw(mark, fact, "write the value out where it is used"))
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.flaws.append(Flaw(mark, f"tag {quoted(tag)} is not allowed", "remove it; quote a value to make it a string"))

    def _node(self, event: yaml.NodeEvent, mark: Mark) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            raise Unreadable(mark, f"over {MAX_NODES} values, keys and lists in one file")
        if isinstance(event, yaml.ScalarEvent):
            self._place(ScalarNode(mark, event.value, plain=event.style in (None, "")), mark)
        elif isinstance(event, yaml.AliasEvent):
            self._place(ScalarNode(mark, "", plain=False), mark)
        else:
            node: ListNode | MapNode = MapNode(mark) if isinstance(event, yaml.MappingStartEvent) else ListNode(mark)
            self._place(node, mark)
            self._open.append(node)
            self._key.append(None)
            if len(self._open) > MAX_DEPTH:
                raise Unreadable(mark, f"nested deeper than {MAX_DEPTH} levels")

    def _place(self, node: Node, mark: Mark) -> None:
        if not self._open:
            self.root = node
            return
        parent, key = self._open[-1], self._key[-1]
        if isinstance(parent, ListNode):
            parent.items.append(node)
        elif key is None:
            self._key[-1] = self._as_key(node, mark)
        else:
            parent.items.setdefault(key, node)
            self._key[-1] = None

    def _as_key(self, node: Node, mark: Mark) -> str:
        if not isinstance(node, ScalarNode):
            raise Unreadable(mark, "a key must be a word, here it is a list or mapping", "quote text that starts with { or [")
        parent = self._open[-1]
        if isinstance(parent, MapNode) and node.text in parent.keys:
            first = parent.keys[node.text].line
            self.flaws.append(Flaw(mark, f"key {quoted(node.text)} is here twice, first in line {first}", "keep one of them"))
        elif isinstance(parent, MapNode):
            parent.keys[node.text] = mark
        if "${" in node.text:
            self.flaws.append(Flaw(mark, f"key {quoted(node.text)}: variables stand in values only"))
        return node.text


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    todo = [node]
    while todo:
        one = todo.pop()
        yield one
        if isinstance(one, ListNode):
            todo += one.items
        elif isinstance(one, MapNode):
            todo += one.items.values()


def _unreadable(text: str, error: yaml.YAMLError) -> Unreadable:
    if isinstance(error, yaml.MarkedYAMLError):
        at = error.problem_mark or error.context_mark
        mark = Mark(at.line + 1, at.column + 1) if at else Mark()
        fact = one_line(", ".join(part for part in (error.problem, error.context) if part))
        line = text.splitlines()[at.line] if at and at.line < len(text.splitlines()) else ""
        return Unreadable(mark, f"not YAML: {fact}", _cure(line))
    position, reason = getattr(error, "position", 0), getattr(error, "reason", str(error))
    return Unreadable(_mark_at(text[:position]), f"not YAML: {one_line(str(reason))}")


def _cure(line: str) -> str:
    if "\t" in line:
        return "YAML indents with spaces, not with tabs"
    return 'inside [ ] and { } write placeholders in quotes: "${NAME}"' if "${" in line else ""


def _mark_at(before: str) -> Mark:
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
