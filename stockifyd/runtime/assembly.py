"""Makes, opens and closes the components of a pipeline's lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from stockifyd.api import Component, LedgerSink, Unavailable
from stockifyd.runtime.blueprint import Blueprint, LaneComponents
from stockifyd.runtime.change import Change, change
from stockifyd.runtime.delivery import Delivery
from stockifyd.runtime.lane import Equipment, Lane
from stockifyd.runtime.ledgers import Ledgers
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.side import SideSink
from stockifyd.runtime.tasks import bounded
from stockifyd.runtime.transforming import Transforms


class Assembly:
    """New components at each call of `lanes`; `change_to` and `fit` put others in their place, where they differ."""

    def __init__(self, blueprint: Blueprint, shared: Shared, *, accept_new_ledger: bool) -> None:
        self.blueprint = blueprint
        self._shared = shared
        self._accept_new_ledger = accept_new_ledger
        self._fitted: list[LaneComponents] = []
        self._made: list[Component[Any]] = []

    async def lanes(self) -> list[Lane]:
        """Open new components for every lane; Drift, with all of them closed again, where one cannot work."""
        try:
            return [await self._lane() for _ in range(self.blueprint.delivery.lanes)]
        except BaseException:
            await self.close_lanes()
            raise

    async def open(self, component: Component[Any], name: str) -> None:
        """Open one component, however long its far side is away."""
        await self._shared.attempts.until_done(name, component.open)

    async def close_lanes(self) -> None:
        """Close all that is fitted, in reverse order."""
        made, self._made, self._fitted = self._made, [], []
        await self.close(reversed(made))

    async def close(self, components: Iterable[Component[Any]]) -> None:
        """Close components, each in bounded time."""
        for one in components:
            await bounded(one.close(), self._shared.timing.close_secs, self._shared.log, f"closing '{one.context.name}'")

    def use(self, blueprint: Blueprint) -> None:
        """Make lanes by another blueprint from now on."""
        self.blueprint = blueprint
        self._shared.use(blueprint.delivery)

    def has_lanes(self, count: int) -> bool:
        """Whether so many lanes are fitted."""
        return len(self._fitted) == count

    def has_other_ledgers(self, blueprint: Blueprint) -> bool:
        """Whether another blueprint keeps its offsets elsewhere, as far as options can tell."""
        return _ledgers(blueprint) != _ledgers(self.blueprint)

    async def try_out(self, blueprint: Blueprint) -> None:
        """Open and close one set of a blueprint's components; raises why one cannot be opened."""
        components = blueprint.lane().all()
        opened: list[Component[Any]] = []
        try:
            for one in components:
                opened.append(one)
                await self._open_once(one)
        finally:
            await self.close(reversed(opened))

    def change_to(self, blueprint: Blueprint) -> Change:
        """What another blueprint would change; nothing is opened."""
        return change(blueprint, self._fitted)

    async def open_beside(self, wanted: Change) -> None:
        """Open what is new, each once, while the old goes on; raises why one cannot, with all of them closed again."""
        opened: list[Component[Any]] = []
        try:
            for one in wanted.new:
                opened.append(one)
                await self._open_once(one)
        except BaseException:
            await self.close(reversed(opened))
            raise

    async def _open_once(self, one: Component[Any]) -> None:
        limit = self._shared.timing.open_secs
        try:
            async with asyncio.timeout(limit):
                await one.open()
        except TimeoutError as error:
            raise Unavailable(f"'{one.context.name}' did not open within {limit:g} s") from error

    def equipment(self, wanted: Change, lanes: Sequence[Lane]) -> list[Equipment]:
        """What each of the lanes will work with."""
        pairs = zip(lanes, wanted.lanes, strict=True)
        return [self._equipment(components, continued=lane.ledgers) for lane, components in pairs]

    def fit(self, wanted: Change) -> None:
        """The lanes work with what was wanted: this is what `close_lanes` closes."""
        self.use(wanted.blueprint)
        self._fitted = list(wanted.lanes)
        self._made = [one for lane in wanted.lanes for one in lane.all()]

    async def _lane(self) -> Lane:
        components = self.blueprint.lane()
        self._fitted.append(components)
        for component in components.all():
            self._made.append(component)
            await self.open(component, f"'{component.context.name}'")
        return Lane(self._equipment(components), shared=self._shared)

    def _equipment(self, components: LaneComponents, continued: Ledgers | None = None) -> Equipment:
        shared = self._shared
        ledgers = Ledgers(components.sinks, accept_new=self._accept_new_ledger, continued=continued)
        side = [SideSink(sink, shared.counters, shared.log) for sink in components.side]
        delivery = Delivery(components.sinks, ledgers, shared, dead_letters=components.dead_letters, optional=side)
        return Equipment(Transforms(components.transforms, shared), ledgers, delivery, side)


def _ledgers(blueprint: Blueprint) -> list[tuple[type[Component[Any]], str, object]]:
    return [(type(one), one.context.name, one.config) for one in blueprint.lane().sinks if isinstance(one, LedgerSink)]
