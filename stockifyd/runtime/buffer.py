"""Messages read and not yet in a batch, bounded in bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Collection, Sequence
from contextlib import suppress

from stockifyd.api import Message, Partition

MESSAGE_BYTES = 240
"""What a message takes beside its raw value: itself, its position, its numbers."""


class Buffer:
    """A queue of messages that is taken from in batches. It never refuses: its reader asks `memory` and pauses the source."""

    def __init__(self) -> None:
        self.bytes = 0
        self.count = 0
        self._chunks: deque[tuple[list[Message], int]] = deque()
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._chunks)

    @property
    def memory(self) -> int:
        """About how many bytes what waits takes: of small messages more than their raw values."""
        return self.bytes + MESSAGE_BYTES * self.count

    def put(self, messages: list[Message], size: int) -> None:
        """Add messages whose raw values are `size` bytes together."""
        if messages:
            self._chunks.append((messages, size))
            self.bytes += size
            self.count += len(messages)
        self._filled.set()

    async def filled(self) -> None:
        """Returns when there was a `put` since the last call, or there is something to take."""
        if not self._chunks:
            await self._filled.wait()
        self._filled.clear()

    async def more(self, secs: float) -> None:
        """Returns at the next `put`, or after so many seconds."""
        self._filled.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(secs):
                await self._filled.wait()

    def room(self) -> Awaitable[bool]:
        """Done at the next `take` after this call, be it before it is awaited."""
        self._taken.clear()
        return self._taken.wait()

    def is_full(self, max_bytes: int, max_messages: int) -> bool:
        """Whether a batch of these limits could be filled."""
        return self.bytes >= max_bytes or self.count >= max_messages

    def take(self, max_bytes: int, max_messages: int) -> list[Message]:
        """The oldest messages within both limits, but at least one where there is any."""
        taken: list[Message] = []
        room = max_bytes
        while self._chunks and len(taken) < max_messages and room > 0:
            messages, size = self._chunks[0]
            if size <= room and len(taken) + len(messages) <= max_messages:
                self._chunks.popleft()
            else:
                messages, size = self._cut(room, max_messages - len(taken), at_least_one=not taken)
                if not messages:
                    break
            taken += messages
            room -= size
            self.bytes -= size
            self.count -= len(messages)
        self._taken.set()
        return taken

    def drop(self, partitions: Collection[Partition]) -> None:
        """Forget the messages of these partitions."""
        kept = [m for messages, _ in self._chunks for m in messages if m.position.partition not in partitions]
        self.clear()
        self.put(kept, size_of(kept))

    def clear(self) -> None:
        """Forget all."""
        self._chunks.clear()
        self.bytes = self.count = 0
        self._taken.set()

    def _cut(self, max_bytes: int, max_messages: int, *, at_least_one: bool) -> tuple[list[Message], int]:
        """Split the first chunk in two; answer with its head."""
        messages, size = self._chunks[0]
        count = head = 0
        for message in messages[:max_messages]:
            if head + len(message.raw) > max_bytes and not (at_least_one and count == 0):
                break
            head += len(message.raw)
            count += 1
        if count == len(messages):
            self._chunks.popleft()
        elif count:
            self._chunks[0] = (messages[count:], size - head)
        return messages[:count], head


def size_of(messages: Sequence[Message]) -> int:
    """Bytes of the raw values."""
    return sum(len(m.raw) for m in messages)
