"""What an author of a source tells the contract, and how its facts read."""
# ruff: noqa: ARG002  # hooks with arguments that defaults ignore

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from stockifyd.api import Message, Partition, Source
from stockifyd.testing.claims import MemoryClaims
from stockifyd.testing.contracts.component import ComponentContract

R = TypeVar("R", bound=Source[Any])

BODIES = tuple(f"message {number}".encode() for number in range(7))


class SourceHooks(ComponentContract[R]):
    """The hooks of SourceContract."""

    source: type[R]
    bounded: ClassVar[bool] = True
    """False: the source goes on for ever, saying from time to time that there is nothing."""

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> Awaitable[None] | None:
        """Put messages where the source finds them, behind those that are there; over several partitions if it has them."""
        raise NotImplementedError

    def body(self, message: Message) -> bytes:
        """What was fed, found again in a message."""
        return message.raw

    def take_away(self, source: R) -> Awaitable[None] | None:
        """Begin a rebalance: another has all partitions now. Optional: without it the source keeps what it has."""
        pytest.skip(f"{type(self).__name__} gives no take_away")

    def give_back(self, source: R) -> Awaitable[None] | None:
        """End the rebalance that `take_away` began."""
        pytest.skip(f"{type(self).__name__} gives no give_back")

    def kind(self) -> type[R]:
        return self.source

    async def use(self, component: R) -> None:
        await self.read(component, MemoryClaims(), lambda _: not self.bounded)

    async def read(self, source: R, claims: MemoryClaims, enough: Callable[[int], bool]) -> list[Message]:
        """Read until there is enough, or the source returns."""
        messages = list[Message]()
        async with self.reading(source, claims) as reading:
            async for part in reading:
                messages += part
                if enough(len(messages)):
                    break
        return messages

    @asynccontextmanager
    async def reading(self, source: R, claims: MemoryClaims) -> AsyncIterator[AsyncIterator[Sequence[Message]]]:
        """One reading, each yield within patience, and checked; closed at the end as a pipeline does."""
        parts = source.read(claims)
        try:
            yield self._checked(parts, source, claims)
        finally:
            if isinstance(parts, AsyncGenerator):
                async with asyncio.timeout(self.patience_secs):
                    await parts.aclose()

    async def _checked(
        self, parts: AsyncIterator[Sequence[Message]], source: R, claims: MemoryClaims
    ) -> AsyncIterator[Sequence[Message]]:
        while True:
            try:
                async with asyncio.timeout(self.patience_secs):
                    part = await anext(parts)
            except StopAsyncIteration:
                return
            self.check(source, claims, part)
            yield part

    def check(self, source: R, claims: MemoryClaims, part: Sequence[Message]) -> None:
        """What holds after each yield: what came was claimed before, and no position is behind it."""
        assert {message.position.partition for message in part} <= claims.owned, "yielded before it was claimed"
        for message in part:
            partition, offset = message.position
            assert claims.next[partition] <= offset, "yielded what lies before the claim"
            claims.next[partition] = offset + 1
        behind = {p: at for p, at in source.positions().items() if at < claims.next.get(p, 0)}
        assert behind == {}, "positions behind what was yielded"
        assert all(count >= 0 for count in source.lag().values()), "a lag below 0"

    async def all(self, tmp_path: Path, claims: MemoryClaims | None = None, count: int = len(BODIES)) -> list[Message]:
        """All that a fresh source reads."""
        async with self.opened(tmp_path) as source:
            return await self.read(source, claims or MemoryClaims(), lambda found: not self.bounded and found >= count)


def by_partition(messages: Sequence[Message]) -> dict[Partition, list[Message]]:
    """Messages of each partition, in their order."""
    found: dict[Partition, list[Message]] = {}
    for message in messages:
        found.setdefault(message.position.partition, []).append(message)
    return found
