"""Option chains: the canonical message, its transforms and formulas, vendors' forms, the simulator."""

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from stockifyd.api import Component, hookimpl
from stockifyd_optionchain.chain import Chain
from stockifyd_optionchain.check_chain import CheckChain
from stockifyd_optionchain.classify_buildup import ClassifyBuildup
from stockifyd_optionchain.command import simulate
from stockifyd_optionchain.enrich_greeks import EnrichGreeks
from stockifyd_optionchain.flatten_chain import FlattenChain
from stockifyd_optionchain.normalise_chain import NormaliseChain
from stockifyd_optionchain.summarise_chain import SummariseChain

__all__ = [
    "Chain",
    "CheckChain",
    "ClassifyBuildup",
    "EnrichGreeks",
    "FlattenChain",
    "NormaliseChain",
    "SummariseChain",
    "simulate",
    "stockifyd_commands",
    "stockifyd_components",
    "stockifyd_messages",
]


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    """The transforms of option chains."""
    return [CheckChain, ClassifyBuildup, EnrichGreeks, FlattenChain, NormaliseChain, SummariseChain]


@hookimpl
def stockifyd_messages() -> Mapping[str, type[msgspec.Struct]]:
    """`chain`: the canonical option chain."""
    return {"chain": Chain}


@hookimpl
def stockifyd_commands() -> list[click.Command]:
    """`simulate`; it needs no spec."""
    return [simulate]
