"""`stockifyd run`: pipelines until they end or a signal comes."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stockifyd.cli.settings import EX_CONFIG, Settings
from stockifyd.daemon.places import own_folder

if TYPE_CHECKING:
    from stockifyd.daemon.logs import LineHandler
    from stockifyd.daemon.specs import Specs
    from stockifyd.daemon.supervisor import Supervisor
    from stockifyd.spec import Instance, Loaded, Spec

FOLDERS = ("pipelines", "/etc/stockifyd/pipelines")


@dataclass(frozen=True, slots=True)
class Asked:
    """How to run: what the flags and the environment say."""

    instance: Instance
    instance_name: str | None
    listen: str
    accept_new_ledger: bool
    console: LineHandler


@click.command()
@click.argument("specs", nargs=-1, type=click.Path(), metavar="SPEC...|DIR")
@click.option("--instance", "instance_name", metavar="NAME-N", help="Run spec NAME as INSTANCE_ID N, as the systemd unit does.")
@click.option(
    "--listen", metavar="HOST:PORT", default="", envvar="STOCKIFYD_LISTEN", help="Serve health, metrics and the status page."
)
@click.option("--accept-new-ledger", is_flag=True, help="Begin anew where the ledger of a known group is gone.")
@click.option("--last-good", is_flag=True, help="Where a spec has errors, run the one that last ran well.")
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
    last_good: bool,
    log_format: str | None,
) -> None:
    """Run pipelines until they are finished, or until SIGTERM. Changes of their files are taken while they run.

    Exit codes: 0 finished or stopped, 70 a pipeline failed for good, 78 a bad spec or environment. SIGTERM drains, a second one
    leaves at once; SIGHUP reads the files again and resumes what is halted.
    """
    instance = _instance(os.environ, instance_name)
    if instance_name:  # specs may name them
        os.environ |= {"INSTANCE_ID": str(instance.id), "TOTAL_INSTANCES": str(instance.total)}
    from stockifyd.daemon.logs import set_up  # noqa: PLC0415
    from stockifyd.daemon.specs import Specs  # noqa: PLC0415

    files = Specs(_paths(specs, instance_name), settings.registry)
    first = _load(settings, files, last_good=last_good)
    console = set_up(log_format or settings.log_format, settings.log_level)
    _say_skipped(settings)
    sys.exit(_run(files, first, Asked(instance, instance_name, listen, accept_new_ledger, console)))


def _say_skipped(settings: Settings) -> None:
    """Plugins that cannot be used; a spec that names one of their types is refused before this, and says it too."""
    log = logging.getLogger("stockifyd.daemon")
    for problem in settings.registry.problems:
        log.warning("%s", problem)


def _run(specs: Specs, first: list[Spec], asked: Asked) -> int:
    from stockifyd.api import Drift  # noqa: PLC0415
    from stockifyd.daemon.daemon import Daemon, Doors  # noqa: PLC0415  imports aiohttp
    from stockifyd.daemon.loop import calm_collector, new_loop  # noqa: PLC0415

    async def work() -> int:
        name = asked.instance_name or (first[0].name if len(first) == 1 else specs.paths[0].stem)
        doors = Doors(asked.listen, os.environ.get("STOCKIFYD_TOKEN", ""), own_folder(name))
        shown = asked.console if sys.stderr.isatty() else None
        calm_collector()
        return await Daemon(_supervisor(specs, first, asked), specs=specs, console=shown, doors=doors).run()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        try:
            return runner.run(work())
        except Drift as error:  # before any pipeline was started: what was asked for cannot be
            _tell(f"stockifyd: {error.reason}\n  HINT: {error.hint}")
            return EX_CONFIG


def _supervisor(specs: Specs, first: list[Spec], asked: Asked) -> Supervisor:
    from stockifyd.daemon.specs import LastGood, state_folder  # noqa: PLC0415
    from stockifyd.daemon.supervised import Supervised  # noqa: PLC0415
    from stockifyd.daemon.supervisor import Supervisor  # noqa: PLC0415
    from stockifyd.runtime.blueprint import blueprint_of  # noqa: PLC0415
    from stockifyd.runtime.pipeline import Pipeline  # noqa: PLC0415

    good = LastGood(state_folder() / "last-good")

    def start(spec: Spec) -> Pipeline:
        return Pipeline(blueprint_of(spec, asked.instance), accept_new_ledger=asked.accept_new_ledger)

    return Supervisor(specs, lambda spec: Supervised(spec, asked.instance, confirmed=good.keep, start=start), first)


def _paths(specs: tuple[str, ...], instance_name: str | None) -> tuple[str, ...]:
    if instance_name:
        specs = (*specs, _found(instance_name.rpartition("-")[0]))
    if not specs:
        raise click.UsageError("name a spec, a folder of specs, or --instance")
    return specs


def _load(settings: Settings, files: Specs, *, last_good: bool) -> list[Spec]:
    """All specs, or exit 78 with the findings of all of them."""
    from stockifyd.spec import load_all, spec_files  # noqa: PLC0415

    loaded = load_all(spec_files(files.paths), settings.registry)
    for one in loaded:
        for finding in one.findings:
            _tell(str(finding), logging.ERROR if finding.severity == "error" else logging.WARNING)
    if last_good:
        loaded = [one if one.spec else _last_good(settings, one) for one in loaded]
    if not loaded or any(one.spec is None for one in loaded):
        sys.exit(EX_CONFIG)
    return [one.spec for one in loaded if one.spec]


def _last_good(settings: Settings, broken: Loaded) -> Loaded:
    """The one before, where there is one."""
    from stockifyd.daemon.specs import LastGood, state_folder  # noqa: PLC0415

    good = LastGood(state_folder() / "last-good").load(broken.path, settings.registry)
    if good is None or good.spec is None:
        _tell(f"stockifyd: {broken.path}: there is no last good spec in {state_folder()}")
        return broken
    _tell(f"stockifyd: {broken.path} has errors: its last good spec is run", logging.WARNING)
    return good


def _found(name: str) -> str:
    """The file of a spec by its name."""
    folders = [os.environ["STOCKIFYD_PIPELINES"]] if "STOCKIFYD_PIPELINES" in os.environ else FOLDERS
    for folder in folders:
        for suffix in (".yaml", ".yml"):
            if (path := Path(folder, name + suffix)).is_file():
                return str(path)
    _tell(f"stockifyd: no spec is called '{name}'\n  HINT: looked for {name}.yaml in {', '.join(map(str, folders))}")
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
        _tell(
            f"stockifyd: INSTANCE_ID is '{own}' and TOTAL_INSTANCES '{total}'\n"
            "  HINT: both are whole numbers, the first from 1 to the second"
        )
        sys.exit(EX_CONFIG)
    return instance


def _tell(text: str, level: int = logging.ERROR) -> None:
    """Before there is a log."""
    from stockifyd.daemon.logs import said  # noqa: PLC0415

    click.echo(said(text, level, sys.stderr), err=True)
