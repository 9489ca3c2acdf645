"""How to make the components of a pipeline, as often as needed: once a lane, and again after a halt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stockifyd.api import Sink, Source, Transform
from stockifyd.spec.build import build_dead_letters, build_sinks, build_source, build_transforms
from stockifyd.spec.model import Delivery, Instance, Spec


class LaneComponents(NamedTuple):
    """The components of one lane; `side` are the sinks that are not required."""

    transforms: Sequence[Transform[Any]]
    sinks: Sequence[Sink[Any]]
    side: Sequence[Sink[Any]] = ()
    dead_letters: Sink[Any] | None = None

    def all(self) -> list[Transform[Any] | Sink[Any]]:
        """Every component, in the order in which they are opened."""
        return [*self.sinks, *([self.dead_letters] if self.dead_letters else []), *self.side, *self.transforms]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A pipeline's name and options, and what makes its source and its lanes."""

    name: str
    delivery: Delivery
    source: Callable[[], Source[Any]]
    lane: Callable[[], LaneComponents]
    instance: Instance = field(default_factory=Instance)


def blueprint_of(spec: Spec, instance: Instance) -> Blueprint:
    """How to make the components of a spec."""
    consumer = build_source(spec, instance).consumer

    def lane() -> LaneComponents:
        transforms = build_transforms(spec, instance, consumer=consumer)
        sinks = build_sinks(spec, instance, transforms, consumer=consumer)
        required = [sink for sink, one in zip(sinks, spec.sinks, strict=True) if one.required]
        side = [sink for sink, one in zip(sinks, spec.sinks, strict=True) if not one.required]
        return LaneComponents(transforms, required, side, build_dead_letters(spec, instance, consumer=consumer))

    return Blueprint(spec.name, spec.delivery, lambda: build_source(spec, instance), lane, instance)
