"""The simulator: a day's option chains in time order; the same seed gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from random import Random
from typing import NamedTuple

import msgspec

from stockifyd_optionchain.chain import Chain
from stockifyd_optionchain.simulator.forms import enveloped
from stockifyd_optionchain.simulator.series import Series, listed
from stockifyd_optionchain.simulator.session import Instant, Level, instants, walk
from stockifyd_optionchain.simulator.underlyings import UNDERLYINGS, Underlying
from stockifyd_optionchain.vendors.envelope import Vendor

STRIKES_MAX = 500


class Produced(NamedTuple):
    """A message as a producer sends it."""

    key: bytes
    value: bytes
    timestamp_ms: int


class Simulator:
    """The chains of one trading day, 09:15 to 15:30 in India, of every listed expiry every `interval_secs`.

    Iterating gives them in the canonical form (`market.enriched`), `raw(vendor)` in a vendor's (`market.raw`); again and
    again the same. What an underlying does depends on the seed and the day, not on which others are simulated.
    """

    def __init__(
        self,
        seed: int,
        day: date,
        *,
        underlyings: Sequence[str] = tuple(UNDERLYINGS),
        strikes: int = 250,
        interval_secs: float = 3.0,
    ) -> None:
        if unknown := [symbol for symbol in underlyings if symbol not in UNDERLYINGS]:
            raise ValueError(f"{unknown[0]!r} is not simulated; known are {', '.join(UNDERLYINGS)}")
        if not 1 <= strikes <= STRIKES_MAX:
            raise ValueError(f"strikes is {strikes}, must be 1 to {STRIKES_MAX}")
        if not interval_secs > 0:
            raise ValueError(f"interval_secs is {interval_secs}, must be above 0")
        self.seed, self.day, self.strikes, self.interval_secs = seed, day, strikes, interval_secs
        self.underlyings = [UNDERLYINGS[symbol] for symbol in underlyings]

    def __iter__(self) -> Iterator[Produced]:
        """Canonical chains."""
        encode = msgspec.json.Encoder().encode
        for key, chain in self.chains():
            yield Produced(key, encode(chain), _milliseconds(chain))

    def raw(self, vendor: Vendor) -> Iterator[Produced]:
        """The same chains as a vendor would answer them, in the envelope of `market.raw`."""
        encode = msgspec.json.Encoder().encode
        for key, chain in self.chains():
            yield Produced(key, encode(enveloped(chain, vendor)), _milliseconds(chain))

    def chains(self) -> Iterator[tuple[bytes, Chain]]:
        """Chains with their keys, not yet encoded."""
        moments = instants(self.day, self.interval_secs)
        days = [self.day_of(underlying, moments) for underlying in self.underlyings]
        for instant in moments:
            for levels, series in days:
                level = next(levels)
                yield from ((one.key, one.chain(instant, level)) for one in series)

    def day_of(self, underlying: Underlying, moments: Sequence[Instant]) -> tuple[Iterator[Level], list[Series]]:
        """Where an underlying stands at each instant, and its series."""
        seed = f"{self.seed}:{self.day}:{underlying.symbol}"
        levels = walk(underlying, Random(seed), len(moments))  # noqa: S311  a simulation must repeat, not surprise
        return levels, listed(underlying, self.day, next(levels), strikes=self.strikes, seed=seed)


def _milliseconds(chain: Chain) -> int:
    return round(chain.timestamp.timestamp() * 1000)
