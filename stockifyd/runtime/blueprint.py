"""How to make the components of a pipeline, as often as needed: once a lane, and again after a halt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stockifyd.api import Sink, Source, Transform
from stockifyd.spec.model import Delivery, Instance


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
