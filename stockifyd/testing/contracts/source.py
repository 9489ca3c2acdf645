"""What holds of every source: it reads in order, from where it was told, and can be told again."""
# ruff: noqa: SIM300  # what is expected stands first in an assert

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest

from stockifyd.api import Message, Source, configure
from stockifyd.testing.claims import MemoryClaims
from stockifyd.testing.contracts.extremes import BODIES as EXTREMES
from stockifyd.testing.contracts.source_hooks import BODIES, by_partition
from stockifyd.testing.contracts.source_trouble import SourceTrouble
from stockifyd.testing.facts import fact, settle
from stockifyd.testing.making import make_context

R = TypeVar("R", bound=Source[Any])


class SourceContract(SourceTrouble[R]):
    """Subclass it: `source = Lines`, `options(tmp_path)`, `feed(tmp_path, bodies)`; the rest has defaults.

    Each fact feeds a fresh far side and reads it through claims that the contract keeps.
    """

    def extremes(self) -> Sequence[bytes]:
        """Messages as bad as the far side can hold (none: it makes its own); by default without an end of line."""
        return EXTREMES

    @fact
    async def test_everything_in_order(self, tmp_path: Path) -> None:
        """Each message comes once; inside a partition in order, with rising offsets."""
        await settle(self.feed(tmp_path, BODIES))
        messages = await self.all(tmp_path)
        assert sorted(BODIES) == sorted(map(self.body, messages))
        for part in by_partition(messages).values():
            assert all(a.position.offset < b.position.offset for a, b in pairwise(part))
            assert sorted(map(self.body, part)) == [self.body(message) for message in part]

    @fact
    async def test_claims_before_it_reads(self, tmp_path: Path) -> None:
        """Nothing is yielded of a partition that was not claimed, and each is claimed with a start."""
        await settle(self.feed(tmp_path, BODIES))
        claims = MemoryClaims()
        messages = await self.all(tmp_path, claims)
        assert set(by_partition(messages)) <= {partition for taken in claims.taken for partition in taken}

    @fact
    async def test_resumes_at_the_claimed_offset(self, tmp_path: Path) -> None:
        """Reading begins at the offset that the claim answers, not at a start of its own."""
        if not self.source.replayable:
            pytest.skip("the source is not replayable")
        await settle(self.feed(tmp_path, BODIES))
        for partition, part in by_partition(await self.all(tmp_path)).items():
            rest = part[len(part) // 2 :]
            claims = MemoryClaims({partition: rest[0].position.offset})
            read = by_partition(await self.all(tmp_path, claims, len(BODIES) - len(part) + len(rest)))
            assert rest == read[partition]

    @fact
    async def test_the_same_messages_again(self, tmp_path: Path) -> None:
        """What is read a second time is the same, bytes and positions: a replay can be recognised."""
        if not self.source.replayable:
            pytest.skip("the source is not replayable")
        await settle(self.feed(tmp_path, BODIES))
        assert by_partition(await self.all(tmp_path)) == by_partition(await self.all(tmp_path))

    @fact
    async def test_rewinds(self, tmp_path: Path) -> None:
        """Closed in the middle and called again, it claims again and reads from the new answer."""
        if not self.source.replayable:
            pytest.skip("the source is not replayable")
        await settle(self.feed(tmp_path, BODIES))
        async with self.opened(tmp_path) as source:
            first, second = MemoryClaims(), MemoryClaims()
            await self.read(source, first, lambda found: found > 0)
            again = await self.read(source, second, lambda found: not self.bounded and found >= len(BODIES))
        assert (sorted(BODIES), True) == (sorted(map(self.body, again)), bool(second.taken))

    @fact
    async def test_a_bounded_source_returns(self, tmp_path: Path) -> None:
        """Its pipeline ends with it, also where there is nothing to read."""
        if not self.bounded:
            pytest.skip("the source is not bounded")
        await settle(self.feed(tmp_path, ()))
        async with asyncio.timeout(self.patience_secs):
            assert [] == await self.all(tmp_path)

    @fact
    async def test_an_endless_source_says_that_there_is_nothing(self, tmp_path: Path) -> None:
        """It yields empty lists, so that the runtime gets its turn."""
        if self.bounded:
            pytest.skip("the source is bounded")
        await settle(self.feed(tmp_path, BODIES))
        async with self.opened(tmp_path) as source:
            found, nothing = 0, False
            async with self.reading(source, MemoryClaims()) as reading:
                while not (found >= len(BODIES) and nothing):
                    part = await anext(reading)
                    found, nothing = found + len(part), not part

    @fact
    async def test_yields_while_paused(self, tmp_path: Path) -> None:
        """Paused, it goes on yielding empty lists; resumed, it reads on without a loss."""
        if self.source.pause is Source.pause:
            pytest.skip("the source does not override pause")
        await settle(self.feed(tmp_path, BODIES))
        async with self.opened(tmp_path) as source, self.reading(source, MemoryClaims()) as reading:
            source.pause()
            assert [[]] * 3 == [list(await anext(reading)) for _ in range(3)]
            source.resume()
            found = list[Message]()
            async for part in reading:
                found += part
                if len(found) >= len(BODIES):
                    break
        assert sorted(BODIES) == sorted(map(self.body, found))

    @fact
    async def test_commit_is_taken(self, tmp_path: Path) -> None:
        """A checkpoint is no error while reading; what it does is the source's own business."""
        await settle(self.feed(tmp_path, BODIES))
        async with self.opened(tmp_path) as source, self.reading(source, MemoryClaims()) as reading:
            async for part in reading:
                if part:
                    await source.commit({part[-1].position.partition: part[-1].position.offset + 1})
                    break

    def test_somebody_reads(self, tmp_path: Path) -> None:
        """`consumer` names who reads, without opening."""
        assert self.make(tmp_path).consumer

    def test_an_interval_is_read_by_another(self, tmp_path: Path) -> None:
        """Options for an interval are another consumer's, by the name that was asked for, and equal when asked for again."""
        kind, (start, end) = self.kind(), (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
        config = configure(kind, self.options(tmp_path))
        found = kind.between(config, start, end, "another")
        if found is None:
            pytest.skip("the source reads no intervals")
        assert ("another", found) == (kind(found, make_context(kind.type)).consumer, kind.between(config, start, end, "another"))

    @fact
    async def test_bytes_as_they_came(self, tmp_path: Path) -> None:
        """No message is too empty, too long or too strange: nothing is trimmed, decoded or skipped."""
        bodies = self.extremes()
        if not bodies:
            pytest.skip(f"{type(self).__name__} has no say in its messages")
        await settle(self.feed(tmp_path, bodies))
        assert sorted(bodies) == sorted(map(self.body, await self.all(tmp_path, count=len(bodies))))

    @fact
    async def test_lag_is_what_is_left(self, tmp_path: Path) -> None:
        """`lag` and what was read are never more than there is, and in the end nothing is left."""
        if self.source.lag is Source.lag:
            pytest.skip("the source does not override lag")
        await settle(self.feed(tmp_path, BODIES))
        async with self.opened(tmp_path) as source, self.reading(source, claims := MemoryClaims()) as reading:
            found = 0
            async for part in reading:
                found += len(part)
                assert set(source.lag()) <= claims.owned
                assert found + sum(source.lag().values()) <= len(BODIES)
                if found == len(BODIES):
                    break
            assert 0 == sum(source.lag().values())

    @fact
    async def test_one_goes_on_where_another_stopped(self, tmp_path: Path) -> None:
        """What one has read and another is told to begin after is read once, by the one or the other."""
        if not self.source.replayable:
            pytest.skip("the source is not replayable")
        await settle(self.feed(tmp_path, BODIES))
        claims = MemoryClaims()
        async with self.opened(tmp_path) as source:
            first = await self.read(source, claims, lambda found: found > 0)
        rest = await self.all(tmp_path, MemoryClaims(claims.next), len(BODIES) - len(first))
        assert sorted(BODIES) == sorted(map(self.body, [*first, *rest]))
