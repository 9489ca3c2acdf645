"""What the parts of one running pipeline share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from stockifyd.api import Batch
from stockifyd.runtime.attempts import Attempts
from stockifyd.runtime.breaker import Breaker
from stockifyd.runtime.counters import Counters
from stockifyd.runtime.rejects import Rejects
from stockifyd.runtime.taps import Taps
from stockifyd.runtime.timing import Timing
from stockifyd.spec.model import Delivery

Delivered = Callable[[Batch, float], None]
"""Called with a batch that is durable and the seconds its delivery took."""


@dataclass(slots=True)
class Shared:
    """One a pipeline. `rejects` is None where the options say to go on whatever is rejected."""

    options: Delivery
    timing: Timing
    log: logging.Logger
    breaker: Breaker
    delivered: Delivered
    counters: Counters = field(default_factory=Counters)
    taps: Taps = field(default_factory=Taps)
    rejects: Rejects | None = field(init=False)
    attempts: Attempts = field(init=False)

    def __post_init__(self) -> None:
        self.rejects = None
        self.attempts = Attempts(self.breaker, self.timing, self.log)
        self.use(self.options)

    def use(self, options: Delivery) -> None:
        """Other options from now on."""
        self.options = options
        self.rejects = (self.rejects or Rejects()) if options.on_drift == "halt" else None
