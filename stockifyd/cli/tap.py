"""`stockifyd tap`: a live sample of what passes in a running pipeline."""

from __future__ import annotations

import sys
from itertools import islice
from urllib.parse import quote

import click


@click.command()
@click.argument("pipeline")
@click.argument("stage", default="sinks")
@click.option("--count", type=click.IntRange(min=1), help="End after so many lines; default: at Ctrl-C.")
def tap(pipeline: str, stage: str, count: int | None) -> None:
    """Show some of the messages or rows that leave a stage, as JSON lines, without holding anything up.

    STAGE: `source`, the name of a transform, or `sinks` (the default: what was delivered). Who reads slowly misses some.
    """
    from stockifyd.cli.daemons import targets  # noqa: PLC0415

    one = targets((pipeline,))[0]
    for line in islice(one.daemon.lines(f"/tap/{one.name}?stage={quote(stage)}"), count):
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
