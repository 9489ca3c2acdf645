"""Market mood: one number of an expiry, from -100 (bearish) to 100 (bullish), and what it is made of."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

Weight = Annotated[float, Meta(ge=-1000, le=1000)]


class MoodWeights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much each component counts; 0 leaves it out, a negative one turns it round."""

    pcr_oi: Annotated[Weight, Meta(description="Put OI against call OI.")] = 1.0
    pcr_volume: Annotated[Weight, Meta(description="Put volume against call volume.")] = 1.0
    max_pain: Annotated[Weight, Meta(description="How far max pain is above spot, in standard deviations to expiry.")] = 1.0
    gex: Annotated[Weight, Meta(description="The calls' gamma exposure against the puts'.")] = 1.0
    skew: Annotated[Weight, Meta(description="The call wing's volatility against the put wing's.")] = 1.0
    levels: Annotated[Weight, Meta(description="OI at the supports against OI at the resistances.")] = 1.0
    buildup: Annotated[Weight, Meta(description="Bullish OI build-up against bearish; needs `classify_buildup` before it.")] = 1.0


class Components(NamedTuple):
    """Each from -100 to 100, in the order of MoodWeights; None where it is not defined."""

    pcr_oi: float | None
    pcr_volume: float | None
    max_pain: float | None
    gex: float | None
    skew: float | None
    levels: float | None
    buildup: float | None


def balance(bullish: float | None, bearish: float | None) -> float | None:
    """100 (a - b) / (a + b): 100 where all is bullish, -100 where all is bearish; None where nothing is known, or is there.

    Of less than nothing (a vendor's gamma below zero) there is no share: None too.
    """
    if bullish is None or bearish is None or min(bullish, bearish) < 0 or not bullish + bearish > 0:
        return None
    return 100 * ((bullish - bearish) / (bullish + bearish))


def pull(max_pain: float | None, spot: float | None, atm_iv: float | None, years: float) -> float | None:
    """How far max pain is from spot, in standard deviations of spot to expiry; 100 at one or more above."""
    if max_pain is None or not spot or not atm_iv or not years > 0:
        return None
    deviations = (max_pain - spot) / (spot * atm_iv * sqrt(years))
    return 100 * max(-1.0, min(1.0, deviations)) if isfinite(deviations) else None


def mood(components: Components, weights: MoodWeights) -> float | None:
    """The weighted mean of the components that are defined; None where none is, or all that are count nothing."""
    weighed = [(w, c) for w, c in zip(msgspec.structs.astuple(weights), components, strict=True) if c is not None]
    total = sum(abs(weight) for weight, _ in weighed)
    return sum(weight * component for weight, component in weighed) / total if total else None
