"""The contracts of one expiry: what is settled of each before the day begins, and its quote at an instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from math import exp
from random import Random

from stockifyd_optionchain.chain import Option, OptionType
from stockifyd_optionchain.simulator.black76 import Greeks, Pricer
from stockifyd_optionchain.simulator.session import Instant
from stockifyd_optionchain.simulator.underlyings import Underlying

ROUND_STEPS = 10
"""Every tenth strike is a round one, where open interest gathers."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One option: yesterday's close (in ticks), volume and open interest, and today's trade to come (in lots)."""

    expiry: date
    strike: float
    option_type: OptionType
    prev_close: int
    prev_volume: int
    prev_oi: int
    volume_lots: int
    oi_lots: int
    phase: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Lists the contracts of one expiry; `depth` is how much it trades beside the nearest one."""

    underlying: Underlying
    expiry: date
    closed: Pricer
    volatility: float
    depth: float

    def pairs(self, strikes: int, chance: Random) -> Iterator[tuple[Contract, Contract]]:
        """Call and put of every strike around yesterday's close, rising."""
        step = self.underlying.step
        lowest = round(self.closed.spot / step) - strikes // 2
        for number in range(lowest, lowest + strikes):
            strike = float(number * step)
            pair = self.closed.price(strike, self.closed.smile(strike, self.volatility))
            interest = 3.0 if number % ROUND_STEPS == 0 else 1.0
            yield (
                self._contract(strike, "CE", self._ticks(pair.call), interest, chance),
                self._contract(strike, "PE", self._ticks(pair.put), interest, chance),
            )

    def _ticks(self, price: float) -> int:
        # One at least: nothing trades for less.
        return int(price * self.underlying.ticks + 0.5) or 1

    def _contract(self, strike: float, side: OptionType, close: int, interest: float, chance: Random) -> Contract:
        # Calls are held above spot, puts below: that is where they are cheap.
        centre = 1.01 if side == "CE" else 0.99
        weight = interest * self.depth * exp(-(((strike / self.closed.spot - centre) / 0.025) ** 2))
        held = int(60_000 * weight * (0.5 + chance.random())) + chance.randrange(20)
        traded_before = int(400_000 * weight * (0.5 + chance.random()))
        traded = int(400_000 * weight * (0.5 + chance.random())) + chance.randrange(20)
        # Most positions are built during the day, some are unwound; no more than is traded.
        built = int(held * (0.6 * chance.random() - 0.1))
        return Contract(
            self.expiry,
            strike,
            side,
            prev_close=close,
            prev_volume=traded_before * self.underlying.lot_size,
            prev_oi=held * self.underlying.lot_size,
            volume_lots=traded,
            oi_lots=max(-traded, min(traded, built)),
            phase=chance.randrange(1000),
        )


class Quoting:
    """Turns the theoretical prices of an instant into quotes."""

    __slots__ = ("activity", "lot", "number", "ticks")

    def __init__(self, underlying: Underlying, instant: Instant) -> None:
        self.ticks, self.lot = underlying.ticks, underlying.lot_size
        self.number, self.activity = instant.number, instant.activity

    def quote(self, contract: Contract, price: float, iv: float, greeks: Greeks) -> Option:
        """The last price on its tick, bid and ask around it; counts in units of the underlying."""
        ticks, lot, activity = self.ticks, self.lot, self.activity
        last = int(price * ticks + 0.5) or 1
        spread = 1 + last // 400
        bid = last - spread if last > spread else 0
        turn = contract.phase + self.number
        oi_change = int(contract.oi_lots * activity) * lot
        return Option(
            contract.expiry,
            contract.strike,
            contract.option_type,
            last / ticks,
            bid / ticks,
            (last + spread) / ticks,
            lot * (1 + turn * 7 % 40) if bid else 0,
            lot * (1 + turn * 11 % 40),
            contract.prev_close / ticks,
            (last - contract.prev_close) / ticks,
            int(contract.volume_lots * activity) * lot,
            contract.prev_volume,
            contract.prev_oi + oi_change,
            contract.prev_oi,
            oi_change,
            iv,
            int(greeks.delta * 1e6) / 1e6,
            int(greeks.gamma * 1e9) / 1e9,
            int(greeks.theta * 1e4) / 1e4,
            int(greeks.vega * 1e4) / 1e4,
            int(greeks.rho * 1e4) / 1e4,
        )
