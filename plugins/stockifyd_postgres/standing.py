"""Whether a server may be read, judged by what was seen of it; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["new", "up", "lagging", "down"]

RETURN_LOOKS = 3
"""Good looks in a row before a server that was taken out is read again: one that staggers is left out until it stands."""
RETURN_SHARE = 0.5
"""A look is good for its return if the lag is below this share of what is allowed."""


@dataclass(slots=True)
class Standing:
    """A server's state. `new` is one that was never fit: it is read after its first good look.

    `reason` says why it is not read.
    """

    state: State = "new"
    reason: str = "not looked at yet"
    good_looks: int = 0

    @property
    def is_up(self) -> bool:
        """Whether it may be read."""
        return self.state == "up"

    def seen(self, lag_ms: float, max_lag_ms: float | None) -> None:
        """It answered, and is so far behind."""
        if max_lag_ms is None:
            max_lag_ms = float("inf")
        if lag_ms > max_lag_ms:
            self._out("lagging", f"{lag_ms / 1000:.1f} s behind, {max_lag_ms / 1000:.1f} s are allowed")
        elif self.state == "new":
            self._up()
        elif not self.is_up:
            is_good = lag_ms <= max_lag_ms * RETURN_SHARE
            self.good_looks = self.good_looks + 1 if is_good else 0
            self.reason = f"catching up, {lag_ms / 1000:.1f} s behind"
            if self.good_looks >= RETURN_LOOKS:
                self._up()

    def unclear(self, reason: str) -> None:
        """It answered, and nobody can tell how far behind it is."""
        self._out("lagging", reason)

    def lost(self, reason: str) -> None:
        """It did not answer."""
        self._out("down", reason)

    def _out(self, state: State, reason: str) -> None:
        if self.state != "new":
            self.state = state
        self.reason, self.good_looks = reason, 0

    def _up(self) -> None:
        self.state, self.reason, self.good_looks = "up", "", 0
