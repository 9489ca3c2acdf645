"""`stockifyd schema`: the JSON Schemas by which an editor completes and checks specs and test files."""

from __future__ import annotations

from pathlib import Path

import click

from stockifyd.cli.settings import Settings


@click.command()
@click.option(
    "--of", "kind", type=click.Choice(["pipeline", "test"]), default="pipeline", show_default=True, help="Which to print."
)
@click.option(
    "--write",
    "folder",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Write DIR/pipeline.schema.json and DIR/test.schema.json instead of printing.",
)
@click.option("--built-in", is_flag=True, help="Only what comes with stockifyd, without other plugins.")
@click.pass_obj
def schema(settings: Settings, /, kind: str, *, folder: str | None, built_in: bool) -> None:
    """Print the JSON Schema of pipelines, with the options of all plugins that are installed, or that of test files.

    For VS Code, begin a spec with: # yaml-language-server: $schema=../schemas/pipeline.schema.json
    """
    from stockifyd.cases import schema as of_cases  # noqa: PLC0415  `--help` imports this module, and needs none of it
    from stockifyd.registry import Registry  # noqa: PLC0415
    from stockifyd.spec import schema as of_specs  # noqa: PLC0415

    registry = Registry.load(built_in=True) if built_in else settings.registry
    for problem in registry.problems:
        click.echo(str(problem), err=True)
    texts = {
        of_specs.FILE_NAME: of_specs.rendered(of_specs.compose(registry, placeholders=True)),
        of_cases.FILE_NAME: of_specs.rendered(of_cases.compose(editor=True)),
    }
    if folder is None:
        click.echo(texts[of_specs.FILE_NAME if kind == "pipeline" else of_cases.FILE_NAME], nl=False)
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (Path(folder) / name).write_text(text, encoding="utf-8")
        click.echo(f"wrote {Path(folder) / name}")
