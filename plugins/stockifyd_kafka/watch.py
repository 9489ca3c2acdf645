"""The watch over progress: whether Kafka answers, and whether what it has reaches us. No clock of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, NamedTuple, TypeVar

P = TypeVar("P")

PATIENCE_SECS = 5.0


class Seen(NamedTuple):
    """What is known of a partition right after a fetch: next offset, the log's readable end, the time of its last answer."""

    position: int
    end: int
    answered: int


class Verdict(Enum):
    """What an observation means."""

    FINE = auto()
    SILENT = auto()
    """No broker has answered a fetch for a while; said once."""
    BACK = auto()
    """One answers again; said once."""
    STALLED = auto()
    """For `stall_secs` partitions were not answered for, or had more to read and gave nothing: `stalled` says which."""


@dataclass
class Watch(Generic[P]):
    """Told what was seen after each fetch. aiokafka retries unknown errors in silence and for ever: only this notices."""

    stall_secs: float
    stalled: Mapping[P, int] = field(default_factory=dict)
    """After STALLED: the partitions that stood still, and where."""
    _last: dict[P, tuple[float, Seen]] = field(default_factory=dict)
    _heard: float = 0.0
    _looked: float | None = None
    _silent: bool = False

    def rest(self) -> None:
        """Nothing is being fetched (paused, claiming): begin anew with the next observation."""
        self._last.clear()
        self._looked = None

    def observe(self, now: float, seen: Mapping[P, Seen], *, drained: bool) -> Verdict:
        """Judge what was seen at `now`. After a pause between looks that is our own, time counts anew.

        `drained`: the fetch left nothing in aiokafka's buffer. A partition that waits there for its turn is not asked for.
        """
        if self._looked is None or now - self._looked > PATIENCE_SECS:
            self._last.clear()
            self._heard = now
        self._looked = now
        self._last = {partition: kept for partition, kept in self._last.items() if partition in seen}  # not ours: no stall
        answered = not drained or not seen
        for partition, state in seen.items():
            since, before = self._last.get(partition, (now, None))
            answered |= before is not None and before.answered != state.answered
            fresh = not drained or before is None or _progress(before, state)
            self._last[partition] = (now if fresh else since, state)
        return self._judge(now, answered=answered)

    def _judge(self, now: float, *, answered: bool) -> Verdict:
        if answered:
            self._heard = now
            if self._silent:
                self._silent = False
                return Verdict.BACK
        self.stalled = {tp: seen.position for tp, (since, seen) in self._last.items() if now - since >= self.stall_secs}
        if self.stalled:
            self.rest()
            return Verdict.STALLED
        if now - self._heard >= PATIENCE_SECS and not self._silent:
            self._silent = True
            return Verdict.SILENT
        return Verdict.FINE


def _progress(before: Seen, after: Seen) -> bool:
    """Something came, now or from what was buffered before; or a broker says that there is nothing to come."""
    return before.position != after.position or (before.answered != after.answered and after.end <= after.position)
