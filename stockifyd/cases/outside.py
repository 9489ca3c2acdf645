"""What a case says that transforms find outside, in place of a database or whoever else they would ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stockifyd.api import Drift, Transform
from stockifyd.cases.model import Case
from stockifyd.spec import Spec
from stockifyd.spec.build import build_transforms
from stockifyd.spec.document import Document
from stockifyd.spec.findings import Path, did_you_mean, listed, quoted
from stockifyd.spec.locate import locate

Outside = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by the name of the transform that finds them."""


def check_outside(document: Document, spec: Spec, cases: Sequence[Case]) -> None:
    """Note transforms that are not there, and rows that a transform does not take. The spec must be well."""
    for index, case in enumerate(cases):
        if case.outside:
            by_name = {one.context.name: one for one in build_transforms(spec, consumer=spec.name)}
            for name, rows in case.outside.items():
                _check(document, ("cases", index, "outside", name), by_name, rows=rows)


async def prepare(transform: Transform[Any], outside: Outside) -> None:
    """Open a transform, or let one that asks outside rehearse. Drift where the case does not say what it finds there."""
    name = transform.context.name
    if not asks_outside(type(transform)):
        await transform.open()
    elif name in outside:
        transform.rehearse(outside[name])
    else:
        hint = f"write `outside: {{{name}: [...]}}` into the case, a mapping for each row; `[]`: it finds nothing"
        raise Drift(f"the case does not say what {quoted(name)} ({transform.type}) finds outside", hint=hint)


def asks_outside(transform: type[Transform[Any]]) -> bool:
    """Whether transforms of a class can be told what is outside, and so are never opened by a case."""
    return transform.rehearse is not Transform.rehearse


def _check(document: Document, path: Path, by_name: Mapping[str, Transform[Any]], *, rows: Sequence[Mapping[str, Any]]) -> None:
    transform = by_name.get(str(path[-1]))
    if transform is None:
        fact = f"this pipeline has no transform {quoted(str(path[-1]))}"
        document.report_key(path, fact, did_you_mean(str(path[-1]), by_name))
        return
    try:
        transform.rehearse(rows)
    except ValueError as error:
        at, fact = locate(str(error), document.value(path), lambda _: None)
        if asks_outside(type(transform)):
            document.report((*path, *at), fact, f"see `stockifyd plugins show {transform.type}`")
        else:
            document.report_key(path, fact, _who_does(by_name))
    except Exception:  # noqa: BLE001, S110  the author's code has a bug: the case meets it again, and shows where it is
        pass


def _who_does(by_name: Mapping[str, Transform[Any]]) -> str:
    asking = [quoted(name) for name, one in by_name.items() if asks_outside(type(one))]
    return f"of this pipeline {listed(asking)} may be told" if asking else "of this pipeline none does: leave `outside` out"
