"""From the components that are fitted to those of another blueprint: what stays, what is new, what goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from stockifyd.api import Component
from stockifyd.runtime.blueprint import Blueprint, LaneComponents

C = TypeVar("C", bound=Component[Any])


@dataclass(frozen=True, slots=True)
class Change:
    """Components for every lane. What has the same class, options and context as before is the same object as before."""

    blueprint: Blueprint
    lanes: tuple[LaneComponents, ...]
    new: tuple[Component[Any], ...]
    gone: tuple[Component[Any], ...]

    @property
    def names(self) -> list[str]:
        """The components that are made anew, or go; each once, though every lane has its own."""
        return sorted({one.context.name for one in (*self.new, *self.gone)})


def change(blueprint: Blueprint, fitted: Sequence[LaneComponents]) -> Change:
    """What a blueprint makes of fitted lanes, of which it must want as many."""
    lanes = tuple(_merged(before, blueprint.lane()) for before in fitted)
    old, now = [one for lane in fitted for one in lane.all()], [one for lane in lanes for one in lane.all()]
    return Change(blueprint, lanes, _without(now, old), _without(old, now))


def _merged(before: LaneComponents, after: LaneComponents) -> LaneComponents:
    known = before.all()
    return LaneComponents(
        transforms=[_kept(one, known) for one in after.transforms],
        sinks=[_kept(one, known) for one in after.sinks],
        side=[_kept(one, known) for one in after.side],
        dead_letters=_kept(after.dead_letters, known) if after.dead_letters else None,
    )


def _kept(one: C, known: Iterable[Component[Any]]) -> C:
    """The one that is there already and is the same in all that it was made of, or else the new one."""
    for other in known:
        if type(other) is type(one) and (other.config, other.context) == (one.config, one.context):
            return other
    return one


def _without(some: Iterable[Component[Any]], others: Sequence[Component[Any]]) -> tuple[Component[Any], ...]:
    return tuple(one for one in some if not any(one is other for other in others))
