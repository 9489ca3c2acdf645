"""What differs between two specs of one pipeline, and so what a reload would restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stockifyd.spec.model import ComponentSpec, Delivery, Spec

Effect = Literal["nothing", "between batches", "lanes anew", "restart"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Component names, and options of `delivery`. A sink is changed too if other transforms stand before it."""

    source: bool
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    delivery: tuple[str, ...]

    @property
    def effect(self) -> Effect:
        """What a reload does: the pipeline anew, its lanes anew, or other components between two batches."""
        if self.source:
            return "restart"
        if "lanes" in self.delivery:
            return "lanes anew"
        return "between batches" if self.changed or self.added or self.removed or self.delivery else "nothing"

    @property
    def rebalances(self) -> bool:
        """Whether a source that is a member of a group leaves it and joins again."""
        return self.source

    def __str__(self) -> str:
        parts = [
            "the source" if self.source else "",
            *(f"'{name}' changed" for name in self.changed),
            *(f"'{name}' added" for name in self.added),
            *(f"'{name}' removed" for name in self.removed),
            *(f"delivery.{name}" for name in self.delivery),
        ]
        return ", ".join(filter(None, parts)) or "nothing"


def difference(old: Spec, new: Spec) -> Difference:
    """How the new one differs."""
    before, after = _components(old), _components(new)
    return Difference(
        source=old.source != new.source,
        changed=tuple(name for name in after if name in before and before[name] != after[name]),
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        delivery=tuple(name for name in Delivery.__struct_fields__ if getattr(old.delivery, name) != getattr(new.delivery, name))
        + (("dead_letters",) if old.dead_letters != new.dead_letters else ())
        + (("order of transforms",) if _order(old) != _order(new) and set(_order(old)) == set(_order(new)) else ()),
    )


def _components(spec: Spec) -> dict[str, ComponentSpec]:
    return {one.name: one for one in (*spec.transforms, *spec.sinks)}


def _order(spec: Spec) -> tuple[str, ...]:
    return tuple(one.name for one in spec.transforms)
