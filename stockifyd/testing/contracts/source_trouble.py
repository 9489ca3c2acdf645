"""What holds of every source in trouble: cancelled, killed, broken, held up, or robbed of its partitions."""
# ruff: noqa: SIM300  # what is expected stands first in an assert

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from stockifyd.api import Message, Source, StockifydError
from stockifyd.testing import faults
from stockifyd.testing.claims import MemoryClaims
from stockifyd.testing.contracts.component import CUTS
from stockifyd.testing.contracts.source_hooks import BODIES, SourceHooks, by_partition
from stockifyd.testing.facts import fact, settle

R = TypeVar("R", bound=Source[Any])

MANY = tuple(f"message {number}".encode() for number in range(300))
PULLS = 5


class SourceTrouble(SourceHooks[R]):
    """The facts of a source to which something happens."""

    cuts: ClassVar[int] = CUTS
    """Readings that are cancelled, each at another point."""
    kill_at: ClassVar[Sequence[int]] = tuple(faults.points(12))
    """Steps of a reading (lines of the source's own code, and waits) at which a process is killed."""

    @fact
    async def test_cancelled_while_reading(self, tmp_path: Path) -> None:
        """Wherever it waits, also while paused, reading ends when it is cancelled, `close` ends, and the next one reads all."""
        await settle(self.feed(tmp_path, BODIES))
        for point in faults.points(self.cuts):
            source = self.make(tmp_path)
            await source.open()
            if point % 3 == 2:  # noqa: PLR2004  # every third
                source.pause()
            async with asyncio.timeout(self.patience_secs):
                was_cut = await faults.cancelled_at(point, self.read(source, MemoryClaims(), lambda found: found >= len(BODIES)))
                await source.close()
            if not was_cut:
                break
        assert sorted(BODIES) == sorted(map(self.body, await self.all(tmp_path)))

    @fact
    async def test_killed_while_reading(self, tmp_path: Path) -> None:
        """A process killed while it read leaves nothing behind that keeps the next one from reading all."""
        life = self.life(tmp_path)
        if not self.source.replayable or not (self.in_process or faults.is_importable(life.kind)):
            pytest.skip(f"{life.kind.__name__} is not replayable, or cannot be imported by another process")
        await settle(self.feed(tmp_path, BODIES))
        await faults.killed_reading(life, len(BODIES), self.kill_at, in_process=self.in_process)
        assert sorted(BODIES) == sorted(map(self.body, await self.all(tmp_path)))

    @fact
    async def test_a_slow_reader(self, tmp_path: Path) -> None:
        """Held up after each yield, as a full pipeline does, it drops nothing and keeps its order."""
        await settle(self.feed(tmp_path, MANY))
        found = list[Message]()
        async with self.opened(tmp_path) as source, self.reading(source, MemoryClaims()) as reading:
            async for part in reading:
                found += part
                for _ in range(20):
                    await asyncio.sleep(0)
                if len(found) >= len(MANY):
                    break
        assert sorted(MANY) == sorted(map(self.body, found))
        for part in by_partition(found).values():
            places = [MANY.index(self.body(message)) for message in part]
            assert sorted(places) == places

    @fact
    async def test_yields_in_time(self, tmp_path: Path) -> None:
        """With nothing to read it says so, again and again: the runtime gets its turn at least once a second."""
        if self.bounded:
            pytest.skip("the source is bounded")
        await settle(self.feed(tmp_path, ()))
        async with self.opened(tmp_path) as source, self.reading(source, MemoryClaims()) as reading:
            assert [[]] * PULLS == [list(await anext(reading)) for _ in range(PULLS)]

    @fact
    async def test_partitions_that_go_and_come_back(self, tmp_path: Path) -> None:
        """A rebalance: what is taken away is released and not yielded; given back, it is claimed again, and nothing is lost."""
        await settle(self.feed(tmp_path, BODIES))
        claims, found = MemoryClaims(), list[Message]()
        async with self.opened(tmp_path) as source, self.reading(source, claims) as reading:
            while not found:
                found += await anext(reading)
            await settle(self.take_away(source))
            while claims.owned:
                found += await anext(reading)
            await settle(self.give_back(source))
            while len(found) < len(BODIES):
                found += await anext(reading)
        assert (True, True) == (bool(claims.released), len(claims.taken) > 1)
        assert sorted(BODIES) == sorted(map(self.body, found))

    @fact
    async def test_a_far_side_that_breaks(self, tmp_path: Path) -> None:
        """Reading what is gone says so by one of the five errors, or goes on saying that there is nothing."""
        await settle(self.feed(tmp_path, BODIES))
        source = self.make(tmp_path)
        await settle(self.break_it(source))
        try:
            with suppress(StockifydError):
                await source.open()
                async with self.reading(source, MemoryClaims()) as reading:
                    await anext(reading, None)
        finally:
            await source.close()
            await settle(self.mend_it(source))

    @fact
    async def test_a_far_side_that_breaks_while_reading(self, tmp_path: Path) -> None:
        """Reading says so by one of the five errors, or waits; `read` of the same object reads all when the far side is back."""
        await settle(self.feed(tmp_path, BODIES))
        async with self.opened(tmp_path) as source:
            broken = False
            try:
                async with self.reading(source, MemoryClaims()) as reading:
                    await anext(reading)
                    await settle(self.break_it(source))
                    broken = True
                    with suppress(StockifydError):
                        for _ in range(PULLS):
                            await anext(reading, None)
            finally:
                if broken:
                    await settle(self.mend_it(source))
            again = await self.read(source, MemoryClaims(), lambda found: not self.bounded and found >= len(BODIES))
        assert sorted(BODIES) == sorted(map(self.body, again))
