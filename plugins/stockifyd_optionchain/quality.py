"""What can be wrong with a chain that is well formed: rules on its options, and rules on the whole of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from math import exp
from typing import NamedTuple

from stockifyd.api import Message, Partition
from stockifyd_optionchain.chain import Chain, Option
from stockifyd_optionchain.figures import spot_of
from stockifyd_optionchain.forward import implied_forward, mid, price
from stockifyd_optionchain.settlement import years_to

Pair = list[tuple[int, Option] | None]
"""The call and the put of a strike, each with its index in the chain."""

SERIES_MAX = 100_000


class Limits(NamedTuple):
    """Rate, a fraction a year, and how much is too much."""

    rate: float
    stale_after_secs: float
    parity_tolerance_pct: float
    strikes_within_pct: float


def crossed_quote(option: Option) -> bool:
    """Somebody bids more than somebody asks; equal is only locked."""
    return bool(option.bid and option.ask and option.bid > option.ask)


def stale_price(option: Option) -> bool:
    """The last price is older than the quote, as it lies outside of it, or than the session, in which nothing was traded."""
    ltp, bid, ask = option.ltp, option.bid, option.ask
    if not ltp:
        return False
    return option.volume == 0 or bool(bid and ask and bid <= ask and not bid <= ltp <= ask)


def impossible_oi(option: Option, lot_size: int | None) -> bool:
    """Open interest that is no number of lots, or whose change fits neither the day before nor the volume, in units.

    A trade changes open interest by no more than what was traded.
    """
    oi, before, moved = option.oi, option.prev_oi, option.oi_change
    if oi is None:
        return False
    if moved is None and before is not None:
        moved = oi - before
    if lot_size and oi % lot_size:
        return True
    if moved is None:
        return False
    fits = moved <= oi and (before is None or before + moved == oi)
    return not fits or (option.volume is not None and abs(moved) > option.volume)


def parity_violations(chain: Chain, limits: Limits) -> set[int]:
    """Options that could be traded against each other and the forward for a sure gain above the tolerance.

    Buy the call at its ask and sell the put at its bid, or the other way round, against D (F - K): a gain above
    `parity_tolerance_pct` percent of the forward F, which is implied by the strikes nearest the money. Quotes on both sides of
    both options are needed. Nothing is said of an expiry that is settled.
    """
    found = set[int]()
    for expiry, ladder in _ladders(chain.options).items():
        years = years_to(expiry, chain.timestamp)
        if years > 0:
            found |= _violations(ladder, spot_of(chain), exp(-limits.rate * years), limits.parity_tolerance_pct / 100)
    return found


def _violations(ladder: Mapping[float, Pair], spot: float | None, discount: float, tolerance: float) -> set[int]:
    strikes = sorted(ladder)
    sides = [[float("nan") if (one := ladder[k][side]) is None else price(one[1]) for k in strikes] for side in (0, 1)]
    forward = implied_forward(strikes, *sides, spot=spot, discount=discount)
    if forward is None:
        return set()
    found = set[int]()
    for strike, (call, put) in ladder.items():
        if call is None or put is None or mid(call[1]) != mid(call[1]) or mid(put[1]) != mid(put[1]):
            continue
        worth = discount * (forward - strike)
        bought = worth - ((call[1].ask or 0) - (put[1].bid or 0))
        sold = (call[1].bid or 0) - (put[1].ask or 0) - worth
        if max(bought, sold) > tolerance * forward:
            found |= {call[0], put[0]}
    return found


def missing_strikes(chain: Chain, limits: Limits) -> bool:
    """Whether, within `strikes_within_pct` percent of spot, a strike or one side of it is missing in an expiry.

    Strikes stand there at one distance, their commonest; spot stands between two of them. Without a spot nothing is said.
    """
    spot = spot_of(chain)
    return spot is not None and any(
        _is_broken(ladder, spot, spot * limits.strikes_within_pct / 100) for ladder in _ladders(chain.options).values()
    )


def _is_broken(ladder: Mapping[float, Pair], spot: float, width: float) -> bool:
    near = sorted(strike for strike in ladder if abs(strike - spot) <= width)
    if not near or not near[0] <= spot <= near[-1] or any(None in ladder[strike] for strike in near):
        return True
    steps = Counter(round(above - below, 6) for below, above in pairwise(near))
    usual = min(steps, key=lambda step: (-steps[step], step), default=0.0)
    return any(step > usual for step in steps)


def stale_chain(chain: Chain, message: Message, limits: Limits) -> bool:
    """Whether the chain's time is over `stale_after_secs` behind its message's: the vendor repeats itself."""
    return message.timestamp_ms / 1000 - chain.timestamp.timestamp() > limits.stale_after_secs


class Clock:
    """Remembers the last time of each series, to notice one that goes backwards.

    A cache: after a start, a reload or a rebalance the first chain of a series is compared with nothing; so is one that is read
    again. Hence a chain that is delivered twice may carry the flag once and once not; storage keeps the first by its key.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[int, date], tuple[Partition, int, datetime]] = {}

    def goes_backwards(self, chain: Chain, message: Message) -> bool:
        """Whether the chain is older than the one before it in the same series; it is remembered either way."""
        partition, offset = message.position
        backwards = False
        if len(self._last) > SERIES_MAX:
            self._last.clear()
        for expiry in {option.expiry for option in chain.options}:
            where, last, at = self._last.get((chain.symbol_id, expiry), (partition, offset, chain.timestamp))
            backwards |= chain.timestamp < at and (where != partition or last < offset)
            self._last[chain.symbol_id, expiry] = partition, offset, chain.timestamp
        return backwards


def _ladders(options: Sequence[Option]) -> Mapping[date, Mapping[float, Pair]]:
    found: defaultdict[date, defaultdict[float, Pair]] = defaultdict(lambda: defaultdict(lambda: [None, None]))
    for index, option in enumerate(options):
        found[option.expiry][option.strike][option.option_type == "PE"] = (index, option)
    return found


def named(rules: Iterable[str]) -> str | None:
    """Rules as the column `quality` has them."""
    return ",".join(rules) or None
