"""Where a bounded reading ends: by the time that the options name, in each partition at an offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass
class Ending(Generic[P]):
    """The first offset of each partition that is not read any more; none at all of a reading without an end."""

    is_bounded: bool
    stops: dict[P, int] = field(default_factory=dict)

    def cut(self, partition: P, offset: int) -> int:
        """An offset, but not behind the end."""
        return min(offset, self.stops.get(partition, offset))

    def is_behind(self, partition: P, offset: int) -> bool:
        """Whether a message is not to be read."""
        return offset >= self.stops.get(partition, offset + 1)

    def done(self, positions: Mapping[P, int]) -> frozenset[P]:
        """Those of which all is read."""
        return frozenset(partition for partition, at in positions.items() if self.is_behind(partition, at))

    def is_reached(self, positions: Mapping[P, int]) -> bool:
        """Whether all is read of all that are ours."""
        return self.is_bounded and len(self.done(positions)) == len(positions)
