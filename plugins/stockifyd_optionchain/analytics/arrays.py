"""Columns of options as arrays, and back: null is NaN on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.intp]
Marks: TypeAlias = NDArray[np.bool_]


def floats(values: Sequence[Any]) -> Floats:
    """Numbers, some of them None."""
    return np.array(values, dtype=np.float64)


def nulls(values: Floats) -> list[float | None]:
    """What is not a finite number is None."""
    finite = np.isfinite(values)
    found: list[float | None] = values.tolist()
    return found if finite.all() else [value if fine else None for value, fine in zip(found, finite.tolist(), strict=True)]


def number(value: float) -> float | None:
    """As `nulls`, of one number."""
    return float(value) if np.isfinite(value) else None
