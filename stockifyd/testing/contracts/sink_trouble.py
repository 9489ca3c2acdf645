"""What holds of every sink in trouble: cancelled, killed, slow, broken; nothing is lost, and promises are kept."""
# ruff: noqa: SIM300  # what is expected stands first in an assert

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from stockifyd.api import Batch, Fenced, Partition, Retry, Sink, StockifydError, Unavailable
from stockifyd.testing import faults
from stockifyd.testing.contracts.component import CUTS
from stockifyd.testing.contracts.sink_hooks import SinkHooks
from stockifyd.testing.facts import fact, settle

S = TypeVar("S", bound=Sink[Any])

MANY = 25
PAUSE_SECS = 0.05


class SinkTrouble(SinkHooks[S]):
    """The facts of a sink to which something happens."""

    kills: ClassVar[int] = 40
    """Processes that are killed while they write, each at another point."""

    @fact
    async def test_cancelled_while_writing(self, tmp_path: Path) -> None:
        """A cancelled write ends, counts as not written, and the same messages can be written again by the next owner."""
        for number, point in enumerate(faults.points(CUTS)):
            batch = self.batch(3, first=3 * number)
            was_cut = await self.cut(tmp_path, batch, point)
            async with self.opened(tmp_path) as another:
                await faults.replay(another, batch)
                rows = [row for row in await self.rows(another) if row in self.expected(batch)]
                self.check_repeated(batch, rows)
            if not was_cut:
                break

    async def cut(self, tmp_path: Path, batch: Batch, point: int) -> bool:
        """A write that is cancelled where it waits for the n-th time."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink, batch)
            with suppress(StockifydError):
                async with asyncio.timeout(self.patience_secs):
                    return await faults.cancelled_at(point, sink.write(batch))
            return True

    @fact
    async def test_killed_while_writing(self, tmp_path: Path) -> None:
        """A process killed anywhere in `write` leaves what a replay makes good; what `write` had returned for is there."""
        life = self.life(tmp_path)
        if not (self.in_process or faults.is_importable(life.kind)):
            pytest.skip(f"{life.kind.__name__} cannot be imported by another process")
        batches = [self.batch(3, first=3 * n, partition=Partition("killed", n)) for n in range(self.kills)]
        returned = await faults.killed_writing(life, batches, in_process=self.in_process)
        async with self.opened(tmp_path) as sink:
            before = await self.rows(sink)
            lost = [row for batch, done in zip(batches, returned, strict=True) if done for row in self.expected(batch)]
            assert [] == [row for row in lost if row not in before]
            for batch in batches:
                await faults.replay(sink, batch)
            after = await self.rows(sink)
            for batch in batches:
                self.check_repeated(batch, [row for row in after if row in self.expected(batch)])

    @fact
    async def test_a_slow_far_side(self, tmp_path: Path) -> None:
        """Batch after batch, as fast as `write` returns, into a far side that is slow: none is lost or overtakes another."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await settle(self.slow_it(sink))
            try:
                for number in range(MANY):
                    await sink.write(self.batch(2, first=2 * number))
                assert self.expected(self.batch(2 * MANY)) == await self.rows(sink)
            finally:
                if type(self).slow_it is not SinkHooks.slow_it:
                    await settle(self.mend_it(sink))

    @fact
    async def test_a_far_side_that_breaks_while_open(self, tmp_path: Path) -> None:
        """`write` says so by one of the five errors, and works again, on the same object, when the far side is back."""
        batch = self.batch(3)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await settle(self.break_it(sink))
            try:
                with suppress(Retry, Unavailable):
                    await sink.write(batch)
            except StockifydError:
                return  # Drift, Reject, Fenced: the runtime does not simply write again
            finally:
                await settle(self.mend_it(sink))
            await self._writes_again(sink, batch)
            self.check_repeated(batch, await self.rows(sink))

    @fact
    async def test_a_far_side_that_is_away_for_long(self, tmp_path: Path) -> None:
        """However often `write` says that the far side is away, it never answers for a batch that is not stored."""
        batch = self.batch(3)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await settle(self.break_it(sink))
            try:
                returned = any([await self._writes(sink, batch) for _ in range(5)])
            except StockifydError:
                return  # Drift, Reject, Fenced: the runtime does not simply write again
            finally:
                await settle(self.mend_it(sink))
            if not returned:
                await self._writes_again(sink, batch)
            self.check_repeated(batch, await self.rows(sink))

    async def _writes(self, sink: S, batch: Batch) -> bool:
        try:
            await sink.write(batch)
        except (Retry, Unavailable):
            return False
        return True

    async def _writes_again(self, sink: S, batch: Batch) -> None:
        """As the runtime does where the far side is back, and may need a moment to notice its clients."""
        with suppress(Fenced):  # a ledger where an earlier one was committed after all
            async with asyncio.timeout(self.patience_secs):
                while not await self._writes(sink, batch):  # noqa: ASYNC110  # a far side tells nobody that it is back
                    await asyncio.sleep(PAUSE_SECS)

    @fact
    async def test_cancelled_while_the_far_side_is_away(self, tmp_path: Path) -> None:
        """A write that waits for a broken far side ends when it is cancelled, and `close` ends too."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await settle(self.break_it(sink))
            writing = asyncio.ensure_future(sink.write(self.batch(3)))
            try:
                await asyncio.wait([writing], timeout=0.05)
                writing.cancel()
                await asyncio.wait([writing], timeout=self.patience_secs)
                assert writing.done(), "still writing after it was cancelled"
                async with asyncio.timeout(self.patience_secs):
                    await sink.close()
            finally:
                await settle(self.mend_it(sink))
            if not writing.cancelled() and (error := writing.exception()):
                assert isinstance(error, StockifydError), f"{error!r} is none of the five errors"
