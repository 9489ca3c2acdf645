"""The demo: `stockifyd demo`, all of it on one machine that has nothing but Python."""

from __future__ import annotations

import click

from stockifyd.api import hookimpl
from stockifyd_demo.command import demo


@hookimpl
def stockifyd_commands() -> list[click.Command]:
    """`demo`."""
    return [demo]
