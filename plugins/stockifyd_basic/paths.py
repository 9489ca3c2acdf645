"""Dotted paths into decoded JSON: `market_data.oi`, `bids.0.price`, `$.symbol` from the message, `.` for the item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stockifyd.api import Reject
from stockifyd_basic.values import kind_of

ROOT = "$"


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value is: from the root of the message, or from the item that a row is made of."""

    from_root: bool
    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Path:
        """ValueError if it is none."""
        if text == ".":
            return cls(from_root=False, steps=())
        first, *rest = text.split(".")
        steps = (*rest,) if first == ROOT else (first, *rest)
        if not all(steps) or ROOT in steps:
            raise ValueError(f"{text!r} is no path: names with dots between, after $ from the message; or a lone dot")
        return cls(from_root=first == ROOT, steps=steps)

    def find(self, start: Any, above: str) -> Any:
        """The value there; None where a step is missing or null. `above` is where `start` is, for the Reject."""
        value = start
        for depth, step in enumerate(self.steps):
            if isinstance(value, Mapping):
                value = value.get(step)
            elif value is None:
                return None
            elif isinstance(value, list | tuple) and step.isdecimal():
                value = value[int(step)] if int(step) < len(value) else None
            else:
                raise Reject(f"{self.under(above, depth)}: expected an object, got {kind_of(value)}")
        return value

    def under(self, above: str, depth: int | None = None) -> str:
        """The full path of the value, or of the one that `depth` steps lead to."""
        steps = self.steps[:depth]
        return ".".join(filter(None, (above, *steps))) or ROOT
