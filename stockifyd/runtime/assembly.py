"""Makes, opens and closes the components of a pipeline's lanes."""

from __future__ import annotations

from typing import Any

from stockifyd.api import Component
from stockifyd.runtime.blueprint import Blueprint, LaneComponents
from stockifyd.runtime.delivery import Delivery
from stockifyd.runtime.lane import Lane
from stockifyd.runtime.ledgers import Ledgers
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.side import SideSink
from stockifyd.runtime.tasks import bounded
from stockifyd.runtime.transforming import Transforms


class Assembly:
    """New components at each call of `lanes`; those of the last call are closed by `close_lanes`."""

    def __init__(self, blueprint: Blueprint, shared: Shared, *, accept_new_ledger: bool) -> None:
        self._blueprint = blueprint
        self._shared = shared
        self._accept_new_ledger = accept_new_ledger
        self._made: list[Component[Any]] = []

    async def lanes(self) -> list[Lane]:
        """Open new components for every lane; Drift, with all of them closed again, where one cannot work."""
        try:
            return [await self._lane() for _ in range(self._blueprint.delivery.lanes)]
        except BaseException:
            await self.close_lanes()
            raise

    async def open(self, component: Component[Any], name: str) -> None:
        """Open one component, however long its far side is away."""
        await self._shared.attempts.until_done(name, component.open)

    async def close_lanes(self) -> None:
        """Close what `lanes` opened, in reverse order."""
        made, self._made = self._made, []
        for component in reversed(made):
            await bounded(
                component.close(), self._shared.timing.close_secs, self._shared.log, f"closing '{component.context.name}'"
            )

    async def _lane(self) -> Lane:
        components = self._blueprint.lane()
        for component in components.all():
            self._made.append(component)
            await self.open(component, f"'{component.context.name}'")
        return self._assembled(components)

    def _assembled(self, components: LaneComponents) -> Lane:
        shared = self._shared
        ledgers = Ledgers(components.sinks, accept_new=self._accept_new_ledger)
        side = [SideSink(sink, shared.counters, shared.log) for sink in components.side]
        delivery = Delivery(components.sinks, ledgers, shared, dead_letters=components.dead_letters, optional=side)
        return Lane(Transforms(components.transforms, shared), ledgers, delivery, shared=shared, side_sinks=side)
