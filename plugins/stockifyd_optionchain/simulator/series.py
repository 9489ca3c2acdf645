"""One expiry of one underlying through a day: its key, and its chain at each instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from msgspec.structs import replace

from stockifyd_optionchain.chain import Chain, ChainContext, Option
from stockifyd_optionchain.figures import change_pct, exchange_day, figures
from stockifyd_optionchain.settlement import CLOSES, YEAR, years_to
from stockifyd_optionchain.simulator.black76 import Pricer
from stockifyd_optionchain.simulator.contracts import Contract, Listing, Quoting
from stockifyd_optionchain.simulator.session import Instant, Level
from stockifyd_optionchain.simulator.underlyings import SEGMENT, Underlying, expiries

RATE = 0.065
LEAST_YEARS = timedelta(minutes=1) / YEAR
"""What is left at the close of an expiry's day, so that there is always something to price."""


@dataclass(frozen=True, slots=True)
class Series:
    """The contracts of one expiry; `closed` is where the underlying and its volatility closed yesterday."""

    underlying: Underlying
    expiry: date
    closed: Level
    contracts: tuple[tuple[Contract, Contract], ...]

    @property
    def key(self) -> bytes:
        """What its messages are keyed by: `NIFTY:2026-11-24`."""
        return f"{self.underlying.symbol}:{self.expiry}".encode()

    def chain(self, instant: Instant, level: Level) -> Chain:
        """The chain at an instant."""
        pricer = Pricer(level.spot, RATE, max(years_to(self.expiry, instant.at), LEAST_YEARS))
        quote = Quoting(self.underlying, instant).quote
        options = list[Option]()
        for call, put in self.contracts:
            iv = pricer.smile(call.strike, level.volatility)
            pair = pricer.price(call.strike, iv)
            options.append(quote(call, pair.call, iv, pair.call_greeks))
            options.append(quote(put, pair.put, iv, pair.put_greeks))
        context = self._context(options, instant, level)
        return Chain(instant.at.astimezone(UTC), self.underlying.symbol_id, self.underlying.symbol, options, context)

    def _context(self, options: list[Option], instant: Instant, level: Level) -> ChainContext:
        change = round(level.spot - self.closed.spot, 2)
        known = ChainContext(
            exchange=self.underlying.exchange,
            segment=SEGMENT,
            spot_price=level.spot,
            spot_change=change,
            spot_change_pct=round(change_pct(level.spot, change) or 0.0, 4),
            atm_iv=level.volatility,
            atm_iv_change=round(level.volatility - self.closed.volatility, 6),
            lot_size=self.underlying.lot_size,
            tick_size=self.underlying.tick_size,
        )
        return replace(known, **figures(options, exchange_day(instant.at), known)._asdict())


def listed(underlying: Underlying, day: date, closed: Level, *, strikes: int, seed: str) -> list[Series]:
    """The series of an underlying on a day, nearest expiry first; each draws from a chance of its own."""
    evening = datetime.combine(day, CLOSES) - timedelta(days=1)
    found = list[Series]()
    for number, expiry in enumerate(expiries(underlying, day)):
        pricer = Pricer(closed.spot, RATE, years_to(expiry, evening))
        listing = Listing(underlying, expiry, pricer, closed.volatility, depth=1 / (1 + number))
        chance = Random(f"{seed}:{expiry}")  # noqa: S311  a simulation must repeat, not surprise
        found.append(Series(underlying, expiry, closed, tuple(listing.pairs(strikes, chance))))
    return found
