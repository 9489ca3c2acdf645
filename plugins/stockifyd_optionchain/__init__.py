"""Option chains: the canonical message, flatten_chain, the simulator."""

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from stockifyd.api import Component, hookimpl
from stockifyd_optionchain.chain import Chain
from stockifyd_optionchain.command import simulate
from stockifyd_optionchain.flatten_chain import FlattenChain

__all__ = ["Chain", "FlattenChain", "simulate", "stockifyd_commands", "stockifyd_components", "stockifyd_messages"]


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    """The transforms of option chains."""
    return [FlattenChain]


@hookimpl
def stockifyd_messages() -> Mapping[str, type[msgspec.Struct]]:
    """`chain`: the canonical option chain."""
    return {"chain": Chain}


@hookimpl
def stockifyd_commands() -> list[click.Command]:
    """`simulate`; it needs no spec."""
    return [simulate]
