"""A spec as it is replayed: on a past interval, as another consumer, perhaps into another schema."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from stockifyd.api import Drift, Sink, Source
from stockifyd.spec.build import build_source
from stockifyd.spec.model import ComponentSpec, Spec


@dataclass(frozen=True, slots=True)
class Interval:
    """What is to be replayed: from `start` to before `end`. Another `name` is another replay of it, from the beginning."""

    start: datetime
    end: datetime
    into: str = ""
    name: str = ""
    speed: float | None = None

    @property
    def label(self) -> str:
        """What tells this replay's consumer from others: the same words, the same replay."""
        times = (at.astimezone(UTC).isoformat().replace("+00:00", "Z").replace("-", "").replace(":", "") for at in self._times)
        return "-".join(filter(None, ("replay", *times, self.into, self.name)))

    @property
    def _times(self) -> tuple[datetime, datetime]:
        return self.start, self.end


@dataclass(frozen=True, slots=True)
class Replayed:
    """The spec to run, and the names of sinks that have no part in it, since they know no schemas."""

    spec: Spec
    left_out: tuple[str, ...] = ()


def replayed(spec: Spec, interval: Interval) -> Replayed:
    """The spec as the interval says. Drift where its source knows no intervals, or none of its sinks a schema."""
    source = cast("type[Source[Any]]", spec.source.component)
    consumer = f"{build_source(spec).consumer}-{interval.label}"
    config = source.between(spec.source.config, interval.start, interval.end, consumer)
    if config is None:
        raise Drift(f"a source of type '{spec.source.type}' cannot read an interval", hint="Kafka's can, and that of PostgreSQL")
    sinks = {one.name: _elsewhere(one, interval.into) for one in spec.sinks}
    kept = tuple(one for one in sinks.values() if one is not None)
    if not kept:
        raise Drift("no sink of this pipeline writes into a schema", hint="without --into its sinks write where they always do")
    speed = spec.delivery.speed if interval.speed is None else interval.speed
    made = replace(
        spec,
        name=f"{spec.name}_replay",
        source=replace(spec.source, config=config),
        sinks=kept,
        delivery=msgspec.structs.replace(spec.delivery, speed=speed),
    )
    return Replayed(made, tuple(name for name, one in sinks.items() if one is None))


def _elsewhere(one: ComponentSpec, schema: str) -> ComponentSpec | None:
    """A sink as it is without another schema, into it, or None where it knows none."""
    if not schema:
        return one
    config = cast("type[Sink[Any]]", one.component).into(one.config, schema)
    return None if config is None else replace(one, config=config)
