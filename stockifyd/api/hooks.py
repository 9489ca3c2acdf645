"""The hooks, and no more until a real plugin needs one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import click
import msgspec
import pluggy

from stockifyd.api.components import Component, Sink, Source, Transform

hookspec = pluggy.HookspecMarker("stockifyd")
hookimpl = pluggy.HookimplMarker("stockifyd")


@dataclass(frozen=True, slots=True)
class Components:
    """The components of one spec, made but not opened: what a command may look at and use."""

    pipeline: str
    source: Source[Any]
    transforms: tuple[Transform[Any], ...]
    sinks: tuple[Sink[Any], ...]


LoadSpec = Callable[[str], Components]
"""Reads a spec's file; on findings prints them and exits with 78."""


@hookspec
def stockifyd_components() -> Iterable[type[Component[Any]]]:
    """The component classes of this plugin."""
    return ()


@hookspec
def stockifyd_messages() -> Mapping[str, type[msgspec.Struct]]:
    """Message types that a `decode` transform may name as its `schema`."""
    return {}


@hookspec
def stockifyd_commands(load: LoadSpec) -> Iterable[click.Command]:
    """Commands that this plugin adds to `stockifyd`."""
    return ()
