"""What a shape cannot say: names, guarantees, where rejected messages go, which tables arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from stockifyd.api import LedgerSink, Sink, StockifydError, Tables, Transform
from stockifyd.spec.build import around, make, tables_after
from stockifyd.spec.document import Document
from stockifyd.spec.findings import Path, did_you_mean, quoted
from stockifyd.spec.guarantee import PLAIN, STRONGEST_FIRST, of_sink, weakest
from stockifyd.spec.locate import locate
from stockifyd.spec.model import Guarantee
from stockifyd.spec.nodes import MapNode, Node, ScalarNode
from stockifyd.spec.parts import DEAD_LETTERS, Part, Parts, bug, report_it


def check_rules(document: Document, parts: Parts) -> None:
    """Note all that breaks a rule."""
    _check_names(document, parts)
    _check_required(document, parts)
    _check_guarantee(document, parts)
    _check_dead_letters(document, parts)
    _check_tables(document, parts)


def pipeline_guarantee(parts: Parts) -> Guarantee | None:
    """What the pipeline promises: the weakest of its required sinks."""
    source = parts.source
    given = [of_sink(source.entry.component, s.entry.component) for s in parts.sinks if s.required] if source else []
    return weakest(given) if given else None


def _check_names(document: Document, parts: Parts) -> None:
    if len(parts.sinks) > 1:
        for sink in parts.sinks:
            if document.value((*sink.path, "name")) is None:
                hint = f"add `name:`; under `name: {sink.entry.type}` it goes on where it was when it was the only sink"
                document.report(sink.path, "'name' is required as soon as there are two sinks", hint)
    for several in (parts.transforms, parts.sinks):
        first: dict[str, Part] = {}
        for part in several:
            named = document.value((*part.path, "name")) is not None
            if part.name in first and (named or part.role == "transform"):
                line = document.mark(first[part.name].path).line
                fact = f"two {part.role}s are called {quoted(part.name)}, the first in line {line}"
                document.report((*part.path, "name") if named else part.path, fact, "give each a `name:` of its own")
            first.setdefault(part.name, part)


def _check_required(document: Document, parts: Parts) -> None:
    if parts.sinks and not any(sink.required for sink in parts.sinks):
        fact = "no sink is required, so nothing ever holds a message to be delivered"
        document.report(("sinks",), fact, "remove `required: false` from one of them")
    for sink in parts.sinks:
        if not sink.required and issubclass(sink.entry.component, LedgerSink):
            fact = f"sink {quoted(sink.name)} keeps a ledger, which allows no gaps, so it cannot be left behind"
            document.report((*sink.path, "required"), fact, "remove `required: false`")


def _check_guarantee(document: Document, parts: Parts) -> None:
    asked = parts.delivery.guarantee if parts.delivery else None
    if asked is None or parts.source is None:
        return
    for sink in parts.sinks:
        given = of_sink(parts.source.entry.component, sink.entry.component)
        if sink.required and STRONGEST_FIRST.index(given) > STRONGEST_FIRST.index(asked):
            fact = f"{asked} cannot be kept: sink {quoted(sink.name)} gives {PLAIN[given]}"
            hint = f"write `guarantee: {given}`, or another sink, or `required: false` there"
            document.report(("delivery", "guarantee"), fact, hint)


def _check_dead_letters(document: Document, parts: Parts) -> None:
    ledgers = [sink for sink in parts.sinks if issubclass(sink.entry.component, LedgerSink)]
    if ledgers or document.value(DEAD_LETTERS[:2]) is not None or not parts.sinks or document.failed:
        return
    fact = "the first message that is rejected halts this pipeline: no sink keeps a ledger, and there are no dead letters"
    document.report(("sinks",), fact, "add `delivery: {dead_letters: {sink: {type: ...}}}`", severity="warning")


def _check_tables(document: Document, parts: Parts) -> None:
    arriving = _arriving(document, parts.transforms)
    written = document.value(("transforms",)) or []
    if arriving is not None and isinstance(written, list) and len(parts.transforms) == len(written):
        for sink in parts.sinks:
            _check_wants(document, sink, arriving)
    if parts.dead_letters:
        _check_wants(document, parts.dead_letters, {"dead_letters": ()})


def _arriving(document: Document, transforms: Sequence[Part]) -> Tables | None:
    """The tables that leave the last transform; None where one cannot tell."""
    tables: Tables | None = {}
    for part in transforms:
        spec = part.spec()
        if spec is None or tables is None:
            return None
        try:
            after = tables_after(cast("Transform[Any]", make(spec, around("validate"), tables)), tables)
            tables = None if after is None else dict(after)
        except (ValueError, StockifydError) as error:
            said = bug(error) if isinstance(error, StockifydError) else str(error)
            at, fact = locate(said, document.value(part.path), lambda _: None)
            document.report((*part.path, *at), document.scrub(fact))
            return None
        except Exception as error:  # noqa: BLE001  the author's code
            document.report(
                part.path, f"{part.entry.type!r} cannot say its tables: {document.scrub(bug(error))}", report_it(part.entry)
            )
            return None
    return tables


def _check_wants(document: Document, sink: Part, arriving: Tables) -> None:
    spec = sink.spec()
    if spec is None:
        return
    try:
        wants = dict(cast("Sink[Any]", make(spec, around("validate"), arriving)).wants())
    except Exception as error:  # noqa: BLE001  the author's code
        document.report(
            sink.path, f"{sink.entry.type!r} cannot say its tables: {document.scrub(bug(error))}", report_it(sink.entry)
        )
        return
    for table, columns in wants.items():
        path = _where(document, sink.path, table)
        if table not in arriving:
            there = did_you_mean(table, arriving) or "no transform makes a table"
            document.report_key(path, f"no table {quoted(table)} arrives here", there)
        else:
            _check_columns(document, path, table=table, wanted=columns, there=arriving[table])


def _check_columns(document: Document, path: Path, *, table: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    for column in wanted if there else ():
        if column not in there:
            fact = f"table {quoted(table)} has no column {quoted(column)}"
            document.report_key(_where(document, path, column), fact, did_you_mean(column, there))


def _where(document: Document, path: Path, word: str) -> Path:
    """Where a name stands in a component's options: as a key, else as a value; else the component."""
    found = [below for below in _below(document.node(path), path) if below[1] == word]
    return found[0][0] if found else path


def _below(node: Node, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(node, ScalarNode):
        yield path, node.text
        return
    items = list(node.items.items()) if isinstance(node, MapNode) else list(enumerate(node.items))
    for key, _ in items:
        yield (*path, key), str(key) if isinstance(key, str) else ""
    for key, below in items:
        yield from _below(below, (*path, key))
