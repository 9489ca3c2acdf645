"""`stockifyd pause` and `stockifyd resume`."""

from __future__ import annotations

import click


@click.command()
@click.argument("pipelines", nargs=-1, required=True, metavar="PIPELINE...")
def pause(pipelines: tuple[str, ...]) -> None:
    """Read nothing more until `resume`; what is in flight is written, and membership of the group is kept.

    PIPELINE is a name, or a name and an instance: storage, storage-1.
    """
    _tell("pause", pipelines)


@click.command()
@click.argument("pipelines", nargs=-1, required=True, metavar="PIPELINE...")
def resume(pipelines: tuple[str, ...]) -> None:
    """Go on after `pause`, or after a halt whose cause is mended."""
    _tell("resume", pipelines)


def _tell(verb: str, pipelines: tuple[str, ...]) -> None:
    from stockifyd.cli.daemons import targets  # noqa: PLC0415

    for one in targets(pipelines):
        one.daemon.post(f"/{verb}/{one.name}")
        click.echo(f"{one.full_name}: {verb}d")
