"""Components from a spec: made, not opened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from stockifyd.api import Component, Components, Context, Sink, Source, Tables, Transform
from stockifyd.api.components import utc_now
from stockifyd.spec.model import ComponentSpec, Instance, Spec

ALONE = Instance()


def build(spec: Spec, instance: Instance = ALONE) -> Components:
    """One set of all components of a spec."""
    source = build_source(spec, instance)
    transforms = build_transforms(spec, instance, consumer=source.consumer)
    return Components(spec.name, source, transforms, build_sinks(spec, instance, transforms, consumer=source.consumer))


def build_source(spec: Spec, instance: Instance = ALONE) -> Source[Any]:
    """The source. Its `consumer` is what the other components are built with."""
    return cast("Source[Any]", make(spec.source, around(spec.name, instance)))


def build_transforms(
    spec: Spec, instance: Instance = ALONE, *, consumer: str, now: Callable[[], datetime] = utc_now
) -> tuple[Transform[Any], ...]:
    """A set of transforms, of which every lane has its own; each knows the tables that come in."""
    made, tables = list[Transform[Any]](), _no_tables()
    for one in spec.transforms:
        made.append(cast("Transform[Any]", make(one, around(spec.name, instance, consumer=consumer, now=now), tables)))
        tables = tables_after(made[-1], tables)
    return tuple(made)


def build_sinks(
    spec: Spec, instance: Instance = ALONE, transforms: Iterable[Transform[Any]] = (), *, consumer: str
) -> tuple[Sink[Any], ...]:
    """A set of sinks, of which every lane has its own, behind these transforms."""
    context, tables = around(spec.name, instance, consumer=consumer), tables_of(transforms)
    return tuple(cast("Sink[Any]", make(one, context, tables)) for one in spec.sinks)


def build_dead_letters(spec: Spec, instance: Instance = ALONE, *, consumer: str) -> Sink[Any] | None:
    """The sink of `delivery.dead_letters`, if there is one."""
    context = around(spec.name, instance, consumer=consumer)
    return cast("Sink[Any]", make(spec.dead_letters, context)) if spec.dead_letters else None


def tables_of(transforms: Iterable[Transform[Any]]) -> Tables | None:
    """The tables that leave a chain of transforms; None where one cannot tell."""
    tables = _no_tables()
    for transform in transforms:
        tables = tables_after(transform, tables)
    return tables


def tables_after(transform: Transform[Any], before: Tables | None) -> Tables | None:
    """The tables that leave one transform."""
    return None if before is None else transform.tables(before)


def around(pipeline: str, instance: Instance = ALONE, *, consumer: str = "", now: Callable[[], datetime] = utc_now) -> Context:
    """What the components of a pipeline have in common; `make` gives each its own of it."""
    log = logging.getLogger(f"stockifyd.{pipeline}")
    return Context(pipeline, "", log, instance.id, instance.total, consumer, now=now)


def make(one: ComponentSpec, context: Context, tables: Tables | None = None) -> Component[Any]:
    """One component, with the context it runs in and the tables that come in."""
    own = replace(context, name=one.name, log=context.log.getChild(one.name), tables=tables)
    return one.component(one.config, own)


def _no_tables() -> Tables | None:
    return {}
