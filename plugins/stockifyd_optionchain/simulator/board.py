"""A simulated day, any chain of which can be asked for at any instant: what a vendor's API shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from stockifyd_optionchain.chain import Chain
from stockifyd_optionchain.simulator.series import Series
from stockifyd_optionchain.simulator.session import Instant, Level, instants
from stockifyd_optionchain.simulator.simulator import Simulator
from stockifyd_optionchain.simulator.underlyings import Underlying


@dataclass(frozen=True, slots=True)
class Listed:
    """One underlying through the day: where it stood at each instant, and its series by expiry."""

    underlying: Underlying
    levels: Sequence[Level]
    series: Mapping[date, Series]


class Board:
    """The chains that a simulator emits, by the vendor's key of the underlying."""

    def __init__(self, simulator: Simulator) -> None:
        self.interval_secs = simulator.interval_secs
        self.instants: Sequence[Instant] = instants(simulator.day, simulator.interval_secs)
        days = ((one, *simulator.day_of(one, self.instants)) for one in simulator.underlyings)
        self.listed: Mapping[str, Listed] = {
            one.vendor_key: Listed(one, list(levels), {each.expiry: each for each in series}) for one, levels, series in days
        }

    def number_after(self, secs: float) -> int:
        """The instant that is shown so long after the open; at the close the board stands still."""
        return min(int(secs / self.interval_secs), len(self.instants) - 1)

    def chain(self, listed: Listed, expiry: date, number: int) -> Chain:
        """The chain of an expiry that is listed: the one that the simulator emits at this instant."""
        return listed.series[expiry].chain(self.instants[number], listed.levels[number])
