"""The underlyings that are simulated, and when their options expire."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum

from stockifyd_optionchain.instruments import Instrument

SEGMENT = "OPTIDX"


class Weekday(IntEnum):
    """As `date.weekday()` counts."""

    TUESDAY = 1
    THURSDAY = 3


@dataclass(frozen=True, slots=True)
class Underlying:
    """An index with options. `ticks` make a rupee; `weeklies` and `monthlies` are how many expiries of each kind are listed."""

    symbol: str
    symbol_id: int
    vendor_key: str
    spot: float
    volatility: float
    step: int
    lot_size: int
    ticks: int
    expires_on: Weekday
    weeklies: int
    monthlies: int

    @property
    def exchange(self) -> str:
        """The exchange, as vendors prefix it."""
        return self.vendor_key.partition("_")[0]

    @property
    def instrument(self) -> Instrument:
        """As the instruments file has it."""
        return Instrument(
            symbol_id=self.symbol_id,
            symbol=self.symbol,
            exchange=self.exchange,
            segment=SEGMENT,
            lot_size=self.lot_size,
            tick_size=self.tick_size,
        )

    @property
    def tick_size(self) -> float:
        """The smallest step of a price, in rupees."""
        return 1 / self.ticks


_ROWS = (
    Underlying("NIFTY", 13, "NSE_INDEX|Nifty 50", 25_950.0, 0.12, 50, 65, 20, Weekday.TUESDAY, 4, 3),
    Underlying("BANKNIFTY", 25, "NSE_INDEX|Nifty Bank", 58_600.0, 0.14, 100, 30, 20, Weekday.TUESDAY, 0, 3),
    Underlying("FINNIFTY", 27, "NSE_INDEX|Nifty Fin Service", 27_400.0, 0.14, 50, 60, 20, Weekday.TUESDAY, 0, 3),
    Underlying("SENSEX", 51, "BSE_INDEX|SENSEX", 84_900.0, 0.12, 100, 20, 20, Weekday.THURSDAY, 4, 3),
    Underlying("MIDCPNIFTY", 442, "NSE_INDEX|NIFTY MID SELECT", 13_800.0, 0.17, 25, 120, 20, Weekday.TUESDAY, 0, 3),
)
UNDERLYINGS = {underlying.symbol: underlying for underlying in _ROWS}


def expiries(underlying: Underlying, day: date) -> list[date]:
    """The listed expiries on a day, rising: the next weeklies, and the last such weekday of this and the next months.

    Holidays, which move an expiry to the day before, are not simulated.
    """
    first = day + timedelta(days=(underlying.expires_on - day.weekday()) % 7)
    found = {first + timedelta(weeks=week) for week in range(underlying.weeklies)}
    monthlies = (_monthly(underlying.expires_on, day, ahead) for ahead in range(underlying.monthlies + 1))
    found.update([expiry for expiry in monthlies if expiry >= day][: underlying.monthlies])
    return sorted(found)


def _monthly(weekday: Weekday, day: date, ahead: int) -> date:
    years, month = divmod(day.month - 1 + ahead, 12)
    year, month = day.year + years, month + 1
    last = date(year, month, monthrange(year, month)[1])
    return last - timedelta(days=(last.weekday() - weekday) % 7)
