"""What can be said of one expiry from its options: totals, put-call ratio, max pain, days to go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from itertools import accumulate
from math import inf
from typing import NamedTuple

from stockifyd.api import Reject
from stockifyd_optionchain.chain import INT8_MAX, Chain, ChainContext, Option, OptionType

MILLION = 1e6
EXACT = 2.0**53
"""Below it a float holds every whole number."""
INDIA = timezone(timedelta(hours=5, minutes=30), "IST")


class Figures(NamedTuple):
    """Figures of one expiry, in the order of the columns of `snapshots`."""

    total_call_oi: int | None
    total_put_oi: int | None
    pcr_ratio: float | None
    atm_iv: float | None
    atm_iv_change: float | None
    max_pain_strike: float | None
    days_to_expiry: int


def figures(options: Sequence[Option], today: date, given: ChainContext) -> Figures:
    """The figures of the options of one expiry: those given, the others computed."""
    calls = total_oi(options, "CE") if given.total_call_oi is None else given.total_call_oi
    puts = total_oi(options, "PE") if given.total_put_oi is None else given.total_put_oi
    return Figures(
        total_call_oi=calls,
        total_put_oi=puts,
        pcr_ratio=put_call_ratio(puts, calls) if given.pcr_ratio is None else given.pcr_ratio,
        atm_iv=given.atm_iv,
        atm_iv_change=given.atm_iv_change,
        max_pain_strike=max_pain(options) if given.max_pain_strike is None else given.max_pain_strike,
        days_to_expiry=(options[0].expiry - today).days if given.days_to_expiry is None else given.days_to_expiry,
    )


def total_oi(options: Iterable[Option], side: OptionType) -> int | None:
    """The open interest of one side; null where no option of it tells."""
    known = [o.oi for o in options if o.option_type == side and o.oi is not None]
    total = sum(known)
    if total > INT8_MAX:
        raise Reject(f"options: the open interest of {side} adds up to more than a bigint holds")
    return total if known else None


def put_call_ratio(puts: int | None, calls: int | None) -> float | None:
    """Put OI over call OI; null, not 0, where there is nothing to divide by."""
    return puts / calls if calls and puts is not None else None


def max_pain(options: Sequence[Option]) -> float | None:
    """The listed strike at which the holders of all options are paid least; the lowest of equals; null without open interest.

    What is paid is convex in the strike and bends only at listed ones: to the right of K its slope is the calls' OI up to K less
    the puts' OI above K. So the first strike where that is not negative is the minimum, found in whole numbers.
    """
    held = [(option.strike, option.oi) for option in options if option.oi]
    if not held:
        return None
    slope = -sum([option.oi for option in options if option.option_type == "PE" and option.oi])
    if slope == 0:
        return min(option.strike for option in options)
    at_strike: defaultdict[float, int] = defaultdict(int)
    for strike, oi in held:
        at_strike[strike] += oi
    strikes = sorted(at_strike)
    slopes = accumulate((at_strike[strike] for strike in strikes), initial=slope)
    next(slopes)
    return next(strike for strike, right in zip(strikes, slopes, strict=True) if right >= 0)


def exchange_day(timestamp: datetime) -> date:
    """The day at the exchange, which is in India."""
    return timestamp.astimezone(INDIA).date()


def change_pct(spot: float | None, change: float | None) -> float | None:
    """A change of spot in percent of what it was before; null where that was nothing."""
    if spot is None or change is None:
        return None
    before = spot - change
    return 100 * (change / before) if 0 < before < inf else None


def spot_of(chain: Chain) -> float | None:
    """The price of the underlying; None where it is not known, nothing, or no number."""
    spot = chain.context.spot_price if chain.context else None
    return spot if spot is not None and 0 < spot < inf else None


def difference(now: float | None, before: float | None) -> float | None:
    """What a price moved, to a millionth. Decimal prices, so a decimal difference: 10.1 - 10.05 is 0.05."""
    if now is None or before is None:
        return None
    millionths = (now - before) * MILLION
    # By whole numbers in half the time of `round(..., 6)`.
    return round(millionths) / MILLION if abs(millionths) < EXACT else round(now - before, 6)


def oi_change(option: Option) -> int | None:
    """The change of open interest since the previous session, as it was sent, else from the value before."""
    if option.oi_change is not None or option.oi is None or option.prev_oi is None:
        return option.oi_change
    return option.oi - option.prev_oi
