"""From a vendor's numbers to the units of the canonical chain."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from stockifyd.api import Reject
from stockifyd_optionchain.chain import INT8_MAX

Count = Annotated[int, Meta(ge=0, le=INT8_MAX)] | Annotated[float, Meta(ge=0, le=2.0**62)]
"""A count in units of the underlying; some vendors write 1250.0."""

Rupees = Annotated[float, Meta(ge=0, le=1e9)]
Percent = Rupees
RupeesChange = Annotated[float, Meta(ge=-1e9, le=1e9)]
"""Bounded, so that six decimals of them are whole numbers that a float holds."""

Contracts = Annotated[int, Meta(ge=0, le=2**40)] | Annotated[float, Meta(ge=0, le=2.0**40)]
"""A count of contracts: times any lot it is within a bigint."""

ContractsChange = Annotated[int, Meta(ge=-(2**40), le=2**40)] | Annotated[float, Meta(ge=-(2.0**40), le=2.0**40)]


def whole(name: str, value: float) -> int:
    """A count as an int; Reject if there is a part of one."""
    if isinstance(value, int):
        return value
    if not value.is_integer():
        raise Reject(f"payload: {name}: expected a whole number")
    return int(value)


def fraction(percent: float | None) -> float | None:
    """IV from percent to a fraction of eight decimals (14.32 is 0.1432); 0 means that the vendor could not solve it: null."""
    return round(percent * 1e6) / 1e8 or None if percent else None


def change(price: float | None, before: float | None) -> float | None:
    """What a price moved, in six decimals: 10.1 less 10.05 is 0.05."""
    return None if price is None or before is None else decimals(price - before)


def decimals(number: float) -> float:
    """The number of six decimals nearest to this one: as `round(number, 6)`, in a sixth of its time."""
    return round(number * 1e6) / 1e6
