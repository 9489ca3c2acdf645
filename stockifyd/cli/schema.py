"""`stockifyd schema`: the JSON Schema by which an editor completes and checks specs."""

from __future__ import annotations

from pathlib import Path

import click

from stockifyd.cli.settings import Settings
from stockifyd.registry import Registry
from stockifyd.spec.schema import FILE_NAME, compose, rendered


@click.command()
@click.option(
    "--write", "folder", type=click.Path(file_okay=False), metavar="DIR", help=f"Write DIR/{FILE_NAME} instead of printing."
)
@click.option("--built-in", is_flag=True, help="Only what comes with stockifyd, without other plugins.")
@click.pass_obj
def schema(settings: Settings, /, *, folder: str | None, built_in: bool) -> None:
    """Print the JSON Schema of pipelines, with the options of all plugins that are installed.

    For VS Code, begin a spec with: # yaml-language-server: $schema=../schemas/pipeline.schema.json
    """
    registry = Registry.load(built_in=True) if built_in else settings.registry
    for problem in registry.problems:
        click.echo(str(problem), err=True)
    text = rendered(compose(registry, placeholders=True))
    if folder is None:
        click.echo(text, nl=False)
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / FILE_NAME).write_text(text, encoding="utf-8")
    click.echo(f"wrote {Path(folder) / FILE_NAME}")
