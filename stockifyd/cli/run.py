"""`stockifyd run`: pipelines until they end or a signal comes."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stockifyd.cli.settings import EX_CONFIG, Settings

if TYPE_CHECKING:
    from stockifyd.daemon.logs import LineHandler
    from stockifyd.spec import Instance, Spec

FOLDERS = ("pipelines", "/etc/stockifyd/pipelines")


@click.command()
@click.argument("specs", nargs=-1, type=click.Path(), metavar="SPEC...|DIR")
@click.option("--instance", "instance_name", metavar="NAME-N", help="Run spec NAME as INSTANCE_ID N, as the systemd unit does.")
@click.option(
    "--listen", metavar="HOST:PORT", default="", envvar="STOCKIFYD_LISTEN", help="Serve health, metrics and the status page."
)
@click.option("--accept-new-ledger", is_flag=True, help="Begin anew where the ledger of a known group is gone.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="As before the command.")
@click.pass_obj
def run(
    settings: Settings,
    /,
    specs: tuple[str, ...],
    instance_name: str | None,
    listen: str,
    *,
    accept_new_ledger: bool,
    log_format: str | None,
) -> None:
    """Run pipelines until they are finished, or until SIGTERM.

    Exit codes: 0 finished or stopped, 70 a pipeline failed for good, 78 a bad spec or environment. SIGTERM drains, a second one
    leaves at once; SIGHUP resumes what is halted.
    """
    instance = _instance(os.environ, instance_name)
    loaded = _load(settings, specs, instance_name)
    from stockifyd.daemon.logs import set_up  # noqa: PLC0415

    console = set_up(log_format or settings.log_format, settings.log_level)
    sys.exit(_run(loaded, instance, console, listen=listen, accept_new_ledger=accept_new_ledger))


def _run(specs: list[Spec], instance: Instance, console: LineHandler, *, listen: str, accept_new_ledger: bool) -> int:
    from stockifyd.api import Drift  # noqa: PLC0415
    from stockifyd.daemon.daemon import Daemon  # noqa: PLC0415  imports aiohttp
    from stockifyd.daemon.loop import calm_collector, new_loop  # noqa: PLC0415
    from stockifyd.runtime.blueprint import blueprint_of  # noqa: PLC0415
    from stockifyd.runtime.pipeline import Pipeline  # noqa: PLC0415

    async def work() -> int:
        pipelines = [Pipeline(blueprint_of(spec, instance), accept_new_ledger=accept_new_ledger) for spec in specs]
        shown = console if sys.stderr.isatty() else None
        daemon = Daemon(pipelines, console=shown, token=os.environ.get("STOCKIFYD_TOKEN", ""))
        calm_collector()
        return await daemon.run(listen)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        try:
            return runner.run(work())
        except Drift as error:  # before any pipeline was started: what was asked for cannot be
            click.echo(f"stockifyd: {error.reason}\n  HINT: {error.hint}", err=True)
            return EX_CONFIG


def _load(settings: Settings, paths: tuple[str, ...], instance_name: str | None) -> list[Spec]:
    """All specs, or exit 78 with the findings of all of them."""
    from stockifyd.spec import load_all, spec_files  # noqa: PLC0415

    if instance_name:
        paths = (*paths, _found(instance_name.rpartition("-")[0]))
    if not paths:
        raise click.UsageError("name a spec, a folder of specs, or --instance")
    loaded = load_all(spec_files(paths), settings.registry)
    for one in loaded:
        for finding in one.findings:
            click.echo(str(finding), err=True)
    if not loaded or any(one.spec is None for one in loaded):
        sys.exit(EX_CONFIG)
    return [one.spec for one in loaded if one.spec]


def _found(name: str) -> str:
    """The file of a spec by its name."""
    folders = [os.environ["STOCKIFYD_PIPELINES"]] if "STOCKIFYD_PIPELINES" in os.environ else FOLDERS
    for folder in folders:
        for suffix in (".yaml", ".yml"):
            if (path := Path(folder, name + suffix)).is_file():
                return str(path)
    click.echo(
        f"stockifyd: no spec is called '{name}'\n  HINT: looked for {name}.yaml in {', '.join(map(str, folders))}", err=True
    )
    sys.exit(EX_CONFIG)


def _instance(environ: Mapping[str, str], name: str | None) -> Instance:
    """INSTANCE_ID and TOTAL_INSTANCES, or exit 78."""
    from stockifyd.spec import Instance  # noqa: PLC0415

    if name is not None and not re.fullmatch(r"[a-z][a-z_]*-[1-9][0-9]*", name):
        raise click.UsageError(f"--instance {name!r} is not NAME-N, such as storage-1")
    own = name.rpartition("-")[2] if name else environ.get("INSTANCE_ID", "1")
    total = environ.get("TOTAL_INSTANCES", own if name else "1")
    try:
        instance = Instance(int(own), int(total))
    except ValueError:
        instance = Instance(0, 0)
    if not 1 <= instance.id <= instance.total:
        click.echo(
            f"stockifyd: INSTANCE_ID is '{own}' and TOTAL_INSTANCES '{total}'\n"
            "  HINT: both are whole numbers, the first from 1 to the second",
            err=True,
        )
        sys.exit(EX_CONFIG)
    return instance
