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


def known_or_nil(values: Floats) -> Floats:
    """Nil for NaN."""
    return np.where(np.isnan(values), 0.0, values)


def nulls(rows: Floats) -> list[list[float | None]]:
    """The rows of a matrix, with None for what is not a finite number."""
    finite = np.isfinite(rows)
    found: list[list[float | None]] = rows.tolist()
    if finite.all():
        return found
    return [[v if fine else None for v, fine in zip(*row, strict=True)] for row in zip(found, finite.tolist(), strict=True)]


def number(value: float) -> float | None:
    """As `nulls`, of one number."""
    return float(value) if np.isfinite(value) else None
