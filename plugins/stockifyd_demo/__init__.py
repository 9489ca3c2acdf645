"""The demos: `stockifyd demo` and `demo-platform`, all of it on one machine that has nothing but Python."""

from __future__ import annotations

import click

from stockifyd.api import hookimpl
from stockifyd_demo.command import demo, demo_platform


@hookimpl
def stockifyd_commands() -> list[click.Command]:
    """`demo` and `demo-platform`."""
    return [demo, demo_platform]
