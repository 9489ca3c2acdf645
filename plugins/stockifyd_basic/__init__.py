"""Generic transforms: decode and flatten."""

from typing import Any

from stockifyd.api import Component, hookimpl
from stockifyd_basic.decode import Decode
from stockifyd_basic.flatten import Flatten

__all__ = ["Decode", "Flatten", "stockifyd_components"]


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    """The transforms that know nothing of any domain."""
    return [Decode, Flatten]
