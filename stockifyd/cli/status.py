"""`stockifyd status`: how the pipelines of this machine are."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

HEAD = ("PIPELINE", "STATE", "MESSAGES", "MESSAGES/S", "ROWS/S", "LAG", "LEFT", "PARTITIONS")
EVERY_SECS = 1.0


@click.command()
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE]...")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option("--watch", is_flag=True, help="Again each second, until Ctrl-C.")
def status(pipelines: tuple[str, ...], *, as_json: bool, watch: bool) -> None:
    """Show every running pipeline: state, rates, lag, and why one is not simply running.

    Exit code 1 where no daemon answers.
    """
    from stockifyd.cli.daemons import targets  # noqa: PLC0415

    while True:
        found = [one.status for one in targets(pipelines)]
        text = json.dumps(found, indent=2) if as_json else told(found)
        if watch and not as_json:
            click.clear()
        click.echo(text)
        if not watch:
            return
        time.sleep(EVERY_SECS)


def told(statuses: Sequence[Mapping[str, Any]]) -> str:
    """A table, and below it what is to be known of single ones."""
    rows = [HEAD, *map(_row, statuses)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_placed(row, widths)).rstrip() for row in rows]
    for one in statuses:
        if one["reason"]:
            lines.append(f"{_name(one)} is {one['state']}: {one['reason']}")
            lines += [f"  HINT: {one['hint']}"] if one["hint"] else []
        if (last := one["last_reload"]) and last["outcome"] in ("refused", "rolled_back"):
            lines.append(f"{_name(one)}: reload {last['outcome'].replace('_', ' ')} at {last['at']}: {last['reason']}")
            lines += [f"  HINT: {last['hint']}"] if last["hint"] else []
    return "\n".join(lines)


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    from stockifyd.daemon.progress import span  # noqa: PLC0415

    lag, left = one["lag"], one["left_secs"]
    return (
        _name(one),
        one["state"],
        f"{one['messages_delivered']:,}",
        f"{one['messages_per_sec']:,.0f}",
        f"{one['rows_per_sec']:,.0f}",
        "-" if lag is None else f"{lag:,}",
        "-" if left is None else span(left),
        str(len(one["partitions"])),
    )


def _placed(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Words to the left, numbers to the right."""
    return [
        f"{cell:<{width}}" if at < 2 else f"{cell:>{width}}"  # noqa: PLR2004
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['name']}-{one['instance_id']}"
