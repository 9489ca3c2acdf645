"""A graph drawn: for a terminal, and as Mermaid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stockifyd.spec.graph import Graph, Node

HEAD = "\N{BLACK CIRCLE}"
LINE = "\N{BOX DRAWINGS LIGHT VERTICAL}"
BRANCH = "\N{BOX DRAWINGS LIGHT VERTICAL AND RIGHT}\N{BOX DRAWINGS LIGHT HORIZONTAL}>"
LAST = "\N{BOX DRAWINGS LIGHT UP AND RIGHT}\N{BOX DRAWINGS LIGHT HORIZONTAL}>"

_UNSAFE = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "\\": "#92;", "`": "#96;"}


def terminal(graph: Graph) -> str:
    """A line down from the source to the sinks."""
    lines = [f"{graph.name}: {graph.promise}, {_lanes(graph)}", "", *_above(f"source {graph.source.title}", graph.source)]
    for node in graph.transforms:
        lines += _above(f"transform {node.title}", node)
    below = [("sink", node) for node in graph.sinks]
    below += [("sink", graph.dead_letters)] if graph.dead_letters else []
    for index, (role, node) in enumerate(below):
        is_last = index == len(below) - 1
        lines.append(f"{LAST if is_last else BRANCH} {role} {node.title}: {node.edge}")
        lines += [f"{' ' if is_last else LINE}     {fact}" for fact in node.facts]
        lines += [] if is_last else [LINE]
    return "\n".join(lines)


def mermaid(graphs: Iterable[Graph]) -> str:
    """A flowchart with a box for each pipeline."""
    return "\n".join(["flowchart LR", *(f"  {line}" for graph in graphs for line in _subgraph(graph))])


def _above(title: str, node: Node) -> list[str]:
    return [f"{HEAD} {title}", *(f"{LINE}   {fact}" for fact in node.facts), LINE]


def _lanes(graph: Graph) -> str:
    return "1 lane" if graph.lanes == 1 else f"{graph.lanes} lanes, each with its own transforms and sinks"


def _subgraph(graph: Graph) -> Iterator[str]:
    yield f'subgraph {graph.name}_pipeline["{_safe(f"{graph.name}: {graph.promise}, {_lanes(graph)}")}"]'
    yield "  direction LR"
    yield f'  {graph.name}_source(["{_label(graph.source)}"])'
    last = f"{graph.name}_source"
    for index, node in enumerate(graph.transforms):
        here = f"{graph.name}_transform_{index}"
        yield f'  {here}["{_label(node)}"]'
        yield f"  {last} --> {here}"
        last = here
    for index, node in enumerate(graph.sinks):
        yield from _end(last, f"{graph.name}_sink_{index}", node)
    if graph.dead_letters:
        yield from _end(last, f"{graph.name}_dead_letters", graph.dead_letters)
    yield "end"


def _end(last: str, here: str, node: Node) -> Iterator[str]:
    yield f'  {here}[("{_label(node)}")]'
    arrow = "-->" if node.required and node.edge != "dead letters" else "-.->"
    yield f'  {last} {arrow}|"{_safe(node.edge)}"| {here}'


def _label(node: Node) -> str:
    return "<br/>".join(_safe(text) for text in (node.title, *node.facts))


def _safe(text: str) -> str:
    return "".join(_UNSAFE.get(letter, letter) for letter in text)
