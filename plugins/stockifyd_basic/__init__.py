"""What knows nothing of any domain: transforms of JSON and of tables."""

from typing import Any

from stockifyd.api import Component, hookimpl
from stockifyd_basic.decode import Decode
from stockifyd_basic.deduplicate import Deduplicate
from stockifyd_basic.filter import Filter
from stockifyd_basic.flatten import Flatten
from stockifyd_basic.select import Select

__all__ = ["Decode", "Deduplicate", "Filter", "Flatten", "Select", "stockifyd_components"]


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    """The components that know nothing of any domain."""
    return [Decode, Deduplicate, Filter, Flatten, Select]
