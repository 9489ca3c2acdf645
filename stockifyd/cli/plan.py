"""`stockifyd plan`: what a reload would restart."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from stockifyd.cli.settings import EX_CONFIG, Settings

if TYPE_CHECKING:
    from stockifyd.spec.diff import Difference


@click.command()
@click.argument("spec", required=False, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_obj
def plan(settings: Settings, /, spec: str | None, *, as_json: bool) -> None:
    """Say what a reload would do, and whether a consumer group would rebalance. Nothing is done.

    Without SPEC: what running daemons would do with their files as they are now. With SPEC: how that file differs from the one
    that last ran well.
    """
    if spec is None:
        _ask_daemons(as_json=as_json)
    else:
        _compare(settings, spec, as_json=as_json)


def _ask_daemons(*, as_json: bool) -> None:
    from stockifyd.cli.daemons import daemons  # noqa: PLC0415
    from stockifyd.cli.reload import tell  # noqa: PLC0415

    results = [one for daemon in daemons() for one in daemon.get("/plan")]
    if as_json:
        click.echo(json.dumps(results, indent=2))
    else:
        tell(results)
    sys.exit(any(one["outcome"] == "refused" for one in results))


def _compare(settings: Settings, path: str, *, as_json: bool) -> None:
    from stockifyd.daemon.specs import LastGood, state_folder  # noqa: PLC0415
    from stockifyd.spec import load  # noqa: PLC0415
    from stockifyd.spec.diff import difference  # noqa: PLC0415

    new, good = load(path, settings.registry), LastGood(state_folder() / "last-good").load(path, settings.registry)
    for finding in new.findings:
        click.echo(str(finding), err=True)
    if new.spec is None:
        sys.exit(EX_CONFIG)
    if good is None or good.spec is None:
        click.echo(
            json.dumps({"pipeline": new.pipeline, "effect": "started"}) if as_json else f"{new.pipeline}: would be started"
        )
        return
    found = difference(good.spec, new.spec)
    click.echo(json.dumps(_plain(new.pipeline, found), indent=2) if as_json else f"{new.pipeline}: {_told(found)}")


def _plain(pipeline: str, found: Difference) -> dict[str, Any]:
    return {"pipeline": pipeline, "effect": found.effect, "rebalances": found.rebalances, **asdict(found)}


def _told(found: Difference) -> str:
    if found.effect == "nothing":
        return "nothing has changed since it last ran well"
    return f"{found}; {found.effect}; the group {'rebalances' if found.rebalances else 'does not rebalance'}"
