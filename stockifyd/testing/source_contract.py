"""What holds of every source: it reads in order, from where it was told, and can be told again."""
# ruff: noqa: SIM300  # what is expected stands first in an assert

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from stockifyd.api import Message, Partition, Source, StockifydError, configure
from stockifyd.testing.claims import MemoryClaims
from stockifyd.testing.component_contract import ComponentContract
from stockifyd.testing.facts import fact, settle
from stockifyd.testing.making import make_context

R = TypeVar("R", bound=Source[Any])

BODIES = tuple(f"message {number}".encode() for number in range(7))


class SourceContract(ComponentContract[R]):
    """Subclass it: `source = Lines`, `options(tmp_path)`, `feed(tmp_path, bodies)`; the rest has defaults.

    Each fact feeds a fresh far side and reads it through claims that the contract keeps.
    """

    source: type[R]
    bounded: ClassVar[bool] = True
    """False: the source goes on for ever, saying from time to time that there is nothing."""

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> Awaitable[None] | None:
        """Put messages where the source finds them; over several partitions if it has them."""
        raise NotImplementedError

    def body(self, message: Message) -> bytes:
        """What was fed, found again in a message."""
        return message.raw

    def kind(self) -> type[R]:
        return self.source

    async def read(self, source: R, claims: MemoryClaims, enough: Callable[[int], bool]) -> list[Message]:
        """Read until there is enough, or the source returns."""
        messages = list[Message]()
        async with _reading(source, claims) as reading:
            async for part in reading:
                self.check(source, claims, part)
                messages += part
                if enough(len(messages)):
                    break
        return messages

    def check(self, source: R, claims: MemoryClaims, part: Sequence[Message]) -> None:
        """What holds after each yield: what came was claimed before, and no position is behind it."""
        assert {message.position.partition for message in part} <= claims.owned, "yielded before it was claimed"
        for message in part:
            partition, offset = message.position
            assert claims.next[partition] <= offset, "yielded what lies before the claim"
            claims.next[partition] = offset + 1
        behind = {p: at for p, at in source.positions().items() if at < claims.next.get(p, 0)}
        assert {} == behind, "positions behind what was yielded"
        assert all(count >= 0 for count in source.lag().values())

    async def all(self, tmp_path: Path, claims: MemoryClaims | None = None, count: int = len(BODIES)) -> list[Message]:
        """All that a fresh source reads."""
        async with self.opened(tmp_path) as source:
            return await self.read(source, claims or MemoryClaims(), lambda found: not self.bounded and found >= count)

    @fact
    async def test_everything_in_order(self, tmp_path: Path) -> None:
        """Each message comes once; inside a partition in order, with rising offsets."""
        await settle(self.feed(tmp_path, BODIES))
        messages = await self.all(tmp_path)
        assert sorted(BODIES) == sorted(map(self.body, messages))
        for part in _by_partition(messages).values():
            assert all(a.position.offset < b.position.offset for a, b in pairwise(part))
            assert sorted(map(self.body, part)) == [self.body(message) for message in part]

    @fact
    async def test_claims_before_it_reads(self, tmp_path: Path) -> None:
        """Nothing is yielded of a partition that was not claimed, and each is claimed with a start."""
        await settle(self.feed(tmp_path, BODIES))
        claims = MemoryClaims()
        messages = await self.all(tmp_path, claims)
        assert set(_by_partition(messages)) <= {partition for taken in claims.taken for partition in taken}

    @fact
    async def test_resumes_at_the_claimed_offset(self, tmp_path: Path) -> None:
        """Reading begins at the offset that the claim answers, not at a start of its own."""
        await settle(self.feed(tmp_path, BODIES))
        for partition, part in _by_partition(await self.all(tmp_path)).items():
            rest = part[len(part) // 2 :]
            claims = MemoryClaims({partition: rest[0].position.offset})
            read = _by_partition(await self.all(tmp_path, claims, len(BODIES) - len(part) + len(rest)))
            assert rest == read[partition]

    @fact
    async def test_the_same_messages_again(self, tmp_path: Path) -> None:
        """What is read a second time is the same, bytes and positions: a replay can be recognised."""
        if not self.source.replayable:
            pytest.skip("the source is not replayable")
        await settle(self.feed(tmp_path, BODIES))
        assert _by_partition(await self.all(tmp_path)) == _by_partition(await self.all(tmp_path))

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
        assert [] == await self.all(tmp_path)

    @fact
    async def test_an_endless_source_says_that_there_is_nothing(self, tmp_path: Path) -> None:
        """It yields empty lists, so that the runtime gets its turn."""
        if self.bounded:
            pytest.skip("the source is bounded")
        await settle(self.feed(tmp_path, BODIES))
        async with self.opened(tmp_path) as source:
            found, nothing = 0, False
            async with _reading(source, MemoryClaims()) as reading:
                while not (found >= len(BODIES) and nothing):
                    part = await anext(reading)
                    found, nothing = found + len(part), not part

    @fact
    async def test_yields_while_paused(self, tmp_path: Path) -> None:
        """Paused, it goes on yielding empty lists; resumed, it reads on without a loss."""
        if self.source.pause is Source.pause:
            pytest.skip("the source does not override pause")
        await settle(self.feed(tmp_path, BODIES))
        async with self.opened(tmp_path) as source, _reading(source, MemoryClaims()) as reading:
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
        async with self.opened(tmp_path) as source, _reading(source, MemoryClaims()) as reading:
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
    async def test_a_far_side_that_breaks(self, tmp_path: Path) -> None:
        """Reading what is gone says so by one of the five errors, or goes on saying that there is nothing."""
        await settle(self.feed(tmp_path, BODIES))
        source = self.make(tmp_path)
        await settle(self.break_it(source))
        try:
            with suppress(StockifydError):
                await source.open()
                async with _reading(source, MemoryClaims()) as reading:
                    await anext(reading, None)
        finally:
            await source.close()
            await settle(self.mend_it(source))


@asynccontextmanager
async def _reading(source: Source[Any], claims: MemoryClaims) -> AsyncIterator[AsyncIterator[Sequence[Message]]]:
    reading = source.read(claims)
    try:
        yield reading
    finally:
        if isinstance(reading, AsyncGenerator):
            await reading.aclose()


def _by_partition(messages: Sequence[Message]) -> dict[Partition, list[Message]]:
    found: dict[Partition, list[Message]] = {}
    for message in messages:
        found.setdefault(message.position.partition, []).append(message)
    return found
