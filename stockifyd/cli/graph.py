"""`stockifyd graph`: pipelines as drawings. No network."""

from __future__ import annotations

import click

from stockifyd.cli.settings import EX_CONFIG, Settings

DEFAULT = "pipelines"


@click.command()
@click.argument("specs", metavar="[SPEC|DIR...]", nargs=-1, type=click.Path())
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a Mermaid flowchart, which GitHub and editors draw.")
@click.pass_obj
def graph(settings: Settings, /, specs: tuple[str, ...], *, as_mermaid: bool) -> None:
    """Draw pipelines: source, transforms with the tables they make, sinks with their targets and what they promise.

    Default: the folder pipelines. Variables have their defaults, or stand as they are written: nothing of the environment is
    shown. Exit code 78 if a spec has an error.
    """
    from stockifyd.spec import load_all  # noqa: PLC0415  `--help` needs none of it
    from stockifyd.spec.graph import graph_of  # noqa: PLC0415
    from stockifyd.spec.picture import mermaid, terminal  # noqa: PLC0415

    loaded = load_all(specs or (DEFAULT,), settings.registry, strict=False, environ={})
    graphs = {one.path: graph_of(one) for one in loaded}
    for one in loaded:
        for finding in one.findings if graphs[one.path] is None else ():
            click.echo(str(finding), err=True)
    drawn = [found for found in graphs.values() if found is not None]
    click.echo(mermaid(drawn) if as_mermaid else "\n\n".join(map(terminal, drawn)))
    raise click.exceptions.Exit(0 if len(drawn) == len(loaded) and drawn else EX_CONFIG)
