"""Messages held back until their time: as fast as they were made, or so many times as fast."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

from stockifyd.api import Message, Partition

PAUSE_SECS = 60.0
"""A longer pause between two messages, as over night, is cut to this."""


class _Held(NamedTuple):
    """A message, or how far reading stands beyond the messages, in the order in which they are due."""

    stamp_ms: int
    number: int
    partition: Partition
    message: Message | None
    position: int = 0


class Pace:
    """What was read and is not due yet. Inside a partition order holds, whatever their times; seconds are of any clock."""

    def __init__(self) -> None:
        self.bytes = 0
        self._heap: list[_Held] = []
        self._last: dict[Partition, int] = {}
        self._numbers = count()
        self._speed = 0.0
        self._origin = (0.0, 0)
        """A second of the clock, and the messages' time that is due then."""

    def __bool__(self) -> bool:
        return bool(self._heap)

    def clear(self) -> None:
        """Forget what is held; the next message is due at once."""
        self.bytes, self._speed = 0, 0.0
        self._heap.clear()
        self._last.clear()

    def hold(self, messages: Sequence[Message], positions: Mapping[Partition, int]) -> None:
        """Messages as they were read, and where reading stands beyond them."""
        for message in messages:
            partition = message.position.partition
            stamp = self._last[partition] = max(message.timestamp_ms, self._last.get(partition, 0))
            heapq.heappush(self._heap, _Held(stamp, next(self._numbers), partition, message))
            self.bytes += len(message.raw)
        for partition, position in positions.items():
            held = _Held(self._last.get(partition, 0), next(self._numbers), partition, None, position)
            heapq.heappush(self._heap, held)

    def due(self, now: float, speed: float) -> tuple[list[Message], dict[Partition, int]]:
        """What is due at `now`, taken out; all of it where `speed` is 0."""
        messages, positions = list[Message](), dict[Partition, int]()
        while self._heap and self.wait(now, speed) <= 0:
            held = heapq.heappop(self._heap)
            if held.message is None:
                positions[held.partition] = held.position
            else:
                messages.append(held.message)
                self.bytes -= len(held.message.raw)
        return messages, positions

    def wait(self, now: float, speed: float) -> float:
        """Seconds until something is due; 0 or less where something is, or nothing is held."""
        if not self._heap or not speed:
            return 0.0
        stamp = self._heap[0].stamp_ms
        if speed != self._speed:
            self._speed, self._origin = speed, (now, stamp)
        since, first = self._origin
        left = since + (stamp - first) / 1000 / speed - now
        if left > PAUSE_SECS:
            self._origin = (now + PAUSE_SECS, stamp)
            return PAUSE_SECS
        return left
