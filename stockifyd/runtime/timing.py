"""How long the runtime waits: one place, so that tests run in milliseconds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, and how often a thing is tried."""

    retry_first_secs: float = 0.05
    retry_cap_secs: float = 5.0
    retries: int = 8
    bug_tries: int = 3
    look_at_ledger_secs: float = 3.0
    commit_secs: float = 1.0
    room_secs: float = 0.5
    head_start_secs: float = 0.02
    release_secs: float = 3.0
    close_secs: float = 5.0
    open_secs: float = 15.0
    hold_secs: float = 10.0
    silence_secs: float = 10.0
    fences_a_minute: int = 3
    journal_secs: float = 1.0


@dataclass(slots=True)
class Backoff:
    """Growing pauses, jittered so that instances which broke together do not come back together."""

    first_secs: float
    cap_secs: float
    tries: int = 0
    random: random.Random = field(default_factory=random.Random)

    @classmethod
    def of(cls, timing: Timing) -> Backoff:
        return cls(timing.retry_first_secs, timing.retry_cap_secs)

    def next(self) -> float:
        """The next pause in seconds."""
        full = min(self.cap_secs, self.first_secs * float(2 ** min(self.tries, 30)))
        self.tries += 1
        return full * self.random.uniform(0.5, 1.0)
