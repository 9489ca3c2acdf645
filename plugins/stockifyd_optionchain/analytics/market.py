"""The options of one expiry at an instant, as arrays; and the forward that their prices imply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from msgspec.structs import astuple

from stockifyd_optionchain.analytics.arrays import Floats, Marks, Places, floats
from stockifyd_optionchain.chain import Chain, Option
from stockifyd_optionchain.figures import spot_of
from stockifyd_optionchain.forward import implied_forward
from stockifyd_optionchain.settlement import years_to

FIELDS = Option.__struct_fields__
AT = {name: FIELDS.index(name) for name in FIELDS}
"""Where a field of an option is among its columns."""

Columns = list[Sequence[Any]]


def columns_of(chain: Chain) -> Columns:
    """The fields of all options, each a column."""
    return list(zip(*map(astuple, chain.options), strict=True))


def by_expiry(columns: Columns) -> Mapping[date, Places | slice]:
    """Where the options of each expiry are, in the order of expiry."""
    expiries = columns[AT["expiry"]]
    if expiries.count(expiries[0]) == len(expiries):
        return {expiries[0]: slice(None)}
    return {expiry: np.array([at for at, e in enumerate(expiries) if e == expiry]) for expiry in sorted(set(expiries))}


@dataclass(frozen=True, slots=True)
class Market:
    """One expiry: an entry for each option, and all its `strikes`, which rise, with `place`, where an option's is among them.

    Prices in rupees, `rate` a fraction a year, `years` to settlement; NaN where there is nothing, and `spot` None.
    """

    columns: Columns
    places: Places | slice
    is_call: Marks
    side: Places
    strike: Floats
    strikes: Floats
    place: Places
    spot: float | None
    years: float
    rate: float
    numbers: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, chain: Chain, columns: Columns, places: Places | slice, *, expiry: date, rate: float) -> Market:
        """The options at `places` of a chain, all of one expiry."""
        # Of CE and PE the first letter: a third of the time of comparing the words.
        is_call = (np.frombuffer("".join(columns[AT["option_type"]]).encode(), np.uint8)[::2] == ord("C"))[places]
        strike = floats(columns[AT["strike"]])[places]
        strikes, place = np.unique(strike, return_inverse=True)
        return cls(
            columns, places, is_call, 1 - is_call, strike, strikes, place, spot_of(chain), years_to(expiry, chain.timestamp), rate
        )

    def column(self, name: str) -> Floats:
        """A field of the options, as numbers; kept, for several formulas ask for it."""
        if (found := self.numbers.get(name)) is None:
            found = self.numbers[name] = floats(self.columns[AT[name]])[self.places]
        return found

    def values(self, name: str) -> Sequence[Any]:
        """A field of the options, as it is."""
        column = self.columns[AT[name]]
        return column[self.places] if isinstance(self.places, slice) else [column[at] for at in self.places]

    def sides(self, values: Floats) -> tuple[Floats, Floats]:
        """The calls' values and the puts', by strike; NaN where there is none."""
        found = np.full((2, len(self.strikes)), np.nan)
        found[self.side, self.place] = values
        return found[0], found[1]

    @property
    def discount(self) -> float:
        """What a rupee at settlement is worth now."""
        return float(np.exp(-self.rate * self.years))

    @property
    def middles(self) -> Floats:
        """The middle of each quote; NaN where a side of it is 0 or null, or where they are crossed. Locked is fine."""
        bid, ask = self.column("bid"), self.column("ask")
        return np.where((bid > 0) & (ask >= bid), bid / 2 + ask / 2, np.nan)

    def prices(self, middles: Floats) -> tuple[Floats, Floats]:
        """What the calls and the puts are worth, by strike: the middle of the quote, else the last price above 0."""
        ltp = self.column("ltp")
        return self.sides(np.where(np.isnan(middles) & (ltp > 0), ltp, middles))

    def forward(self, prices: tuple[Floats, Floats]) -> float | None:
        """As `implied_forward`, of the calls' and the puts' prices by strike; None of an expiry that is settled."""
        if not self.years > 0:
            return None
        calls, puts = prices
        return implied_forward(self.strikes.tolist(), calls.tolist(), puts.tolist(), spot=self.spot, discount=self.discount)
