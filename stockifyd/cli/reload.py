"""`stockifyd reload`: make running daemons read their spec files again, and say what became of it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

REFUSED = ("refused", "rolled_back")


@click.command()
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE]...")
@click.option("--dry-run", is_flag=True, help="Say what it would do, as `plan` does.")
@click.option("--resume", is_flag=True, help="Also resume what is halted and has not changed, as SIGHUP does.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def reload(pipelines: tuple[str, ...], *, dry_run: bool, resume: bool, as_json: bool) -> None:
    """Take the spec files as they are now; waits until it is done.

    PIPELINE is a name, or a name and an instance: storage, storage-1. Exit codes: 0 all is as the files say, 1 something was
    refused: the old spec goes on.
    """
    from stockifyd.cli.daemons import daemons, targets  # noqa: PLC0415

    asked = {one.daemon.path: (one.daemon, list[str]()) for one in targets(pipelines)} if pipelines else {}
    for one in targets(pipelines) if pipelines else []:
        asked[one.daemon.path][1].append(one.name)
    results: list[Mapping[str, Any]] = []
    for daemon, names in asked.values() if pipelines else [(daemon, list[str]()) for daemon in daemons()]:
        results += daemon.post("/reload", {"pipelines": names, "dry_run": dry_run, "resume": resume}, secs=None)
    if as_json:
        click.echo(json.dumps(results, indent=2))
    else:
        tell(results)
    sys.exit(any(one["outcome"] in REFUSED for one in results))


def tell(results: Iterable[Mapping[str, Any]]) -> None:
    """A line for each pipeline; for systemd's journal, where it is asked by ExecReload, with its level."""
    from stockifyd.daemon.logs import said  # noqa: PLC0415

    for one in results:
        more = ": ".join(filter(None, (one["changed"], one["reason"])))
        text = f"{one['pipeline']}: {one['outcome'].replace('_', ' ')}" + (f": {more}" if more else "")
        text += f"\n  HINT: {one['hint']}" if one["hint"] else ""
        click.echo(said(text, logging.ERROR if one["outcome"] in REFUSED else logging.INFO, sys.stdout))
