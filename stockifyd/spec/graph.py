"""A pipeline as a graph: what its components are, the tables between them, where rows go, what each sink promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stockifyd.api import LedgerSink, Secret, Sink, Tables
from stockifyd.spec.build import around, build_transforms, make, tables_after
from stockifyd.spec.findings import listed
from stockifyd.spec.guarantee import PLAIN
from stockifyd.spec.loading import Loaded
from stockifyd.spec.model import ComponentSpec, Guarantee, Spec

ARROW = "\N{RIGHTWARDS ARROW}"


@dataclass(frozen=True, slots=True)
class Node:
    """A component: its title, and what is worth knowing of it, a fact a line. `edge`: what is said of the way to it."""

    title: str
    facts: tuple[str, ...] = ()
    edge: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class Graph:
    """A pipeline. `dead_letters` is the sink that takes rejected messages, if it is one of its own."""

    name: str
    promise: str
    lanes: int
    source: Node
    transforms: tuple[Node, ...]
    sinks: tuple[Node, ...]
    dead_letters: Node | None = None


def graph_of(loaded: Loaded) -> Graph | None:
    """The graph of a spec; None where it has errors. Makes components, opens none."""
    spec = loaded.sketch
    if spec is None or loaded.guarantee is None:
        return None
    transforms, tables = _transforms(spec)
    given = {promise.sink: promise.guarantee for promise in loaded.promises}
    dead_letters = spec.dead_letters
    return Graph(
        name=spec.name,
        promise=short(loaded.guarantee),
        lanes=spec.delivery.lanes,
        source=Node(_title(spec.source), _required_options(spec.source)),
        transforms=transforms,
        sinks=tuple(_sink(spec, one, given[one.name], tables) for one in spec.sinks),
        dead_letters=Node(_title(dead_letters), _required_options(dead_letters), "dead letters") if dead_letters else None,
    )


def short(guarantee: Guarantee) -> str:
    """A guarantee in two words."""
    return PLAIN[guarantee].partition(":")[0].removesuffix(" up to the first sink's answer")


def _transforms(spec: Spec) -> tuple[tuple[Node, ...], Tables | None]:
    """The transforms, each with what it does to the tables, and the tables that leave the last one."""
    tables: Tables | None = {}
    nodes = []
    for one, transform in zip(spec.transforms, build_transforms(spec, consumer=spec.name), strict=True):
        before, tables = tables, tables_after(transform, tables)
        nodes.append(Node(_title(one), (*_required_options(one), *_made(before, tables))))
    return tuple(nodes), tables


def _made(before: Tables | None, after: Tables | None) -> tuple[str, ...]:
    if after is None:
        return () if before is None else ("its tables are not known beforehand",)
    before = before or {}
    made = [f"{name} ({_columns(columns)})" for name, columns in after.items() if name not in before]
    changed = [f"{name} ({_columns(columns)})" for name, columns in after.items() if name in before and columns != before[name]]
    gone = [name for name in before if name not in after]
    told = (("makes", made), ("changes", changed), ("drops", gone))
    return tuple(f"{verb} {listed(words)}" for verb, words in told if words)


def _columns(columns: Sequence[str]) -> str:
    return f"{len(columns)} column{'' if len(columns) == 1 else 's'}"


def _sink(spec: Spec, one: ComponentSpec, guarantee: Guarantee | None, tables: Tables | None) -> Node:
    sink = make(one, around(spec.name), tables)
    assert isinstance(sink, Sink)
    wants = sink.wants() or dict.fromkeys(tables or (), ())
    facts = [*_required_options(one), *(_target(one, name) for name in wants)]
    facts += ["messages"] if not wants and tables is not None else []
    facts += ["dead letters, in the transaction of the rows"] if isinstance(sink, LedgerSink) else []
    edge = f"{short(guarantee)}, required" if guarantee else "not required: what it cannot take is dropped and counted"
    return Node(_title(one), tuple(facts), edge, guarantee is not None)


def _target(one: ComponentSpec, table: str) -> str:
    """A table and where its rows go: `into` is the word for that in the options of every sink that names tables."""
    options = getattr(one.config, "tables", None)
    into = getattr(options.get(table), "into", None) if isinstance(options, Mapping) else None
    return f"{table} {ARROW} {into}" if isinstance(into, str) else f"{table}"


def _title(one: ComponentSpec) -> str:
    return one.type if one.name in (one.type, "dead_letters") else f"{one.name} ({one.type})"


def _required_options(one: ComponentSpec) -> tuple[str, ...]:
    """The options without a default, where they are a word or a list of words: they say which topic, which file."""
    info = msgspec.structs.fields(one.config)
    values = ((field.encode_name, getattr(one.config, field.name)) for field in info if field.required)
    return tuple(f"{name}: {text}" for name, value in values if (text := _text(value)))


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float)) for item in value):
        return ", ".join(map(str, value))
    return str(value) if isinstance(value, (str, int, float, Secret)) else ""
