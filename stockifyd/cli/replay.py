"""`stockifyd replay`: a pipeline once more, on a past interval."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from stockifyd.cli.settings import Settings

if TYPE_CHECKING:  # `--help` imports this module, and needs none of them
    from stockifyd.daemon.logs import LineHandler
    from stockifyd.daemon.once import Outcome
    from stockifyd.spec.model import Spec
    from stockifyd.spec.replayed import Interval


def time(_: click.Context, option: click.Parameter, text: str) -> datetime:
    """A time with its zone, of RFC 3339, in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise click.BadParameter(f"{text!r} is no time with its zone, such as 2026-11-24T03:45:00Z", param=option)
    return found.astimezone(UTC)


@click.command()
@click.argument("spec", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--from", "start", metavar="TIME", callback=time, required=True, help="The first time that is replayed, with its zone."
)
@click.option(
    "--to", "end", metavar="TIME", callback=time, required=True, help="The first time that is not replayed any more; it is past."
)
@click.option("--speed", type=click.FloatRange(0), help="So many times as fast as it was; 0 as fast as can be.")
@click.option("--into", default="", metavar="SCHEMA", help="Write into this schema of the same database, and nowhere else.")
@click.option("--as", "name", default="", metavar="NAME", help="Another name is another replay, from the beginning.")
@click.option("--listen", metavar="HOST:PORT", default="", envvar="STOCKIFYD_LISTEN", help="As of `run`.")
@click.pass_obj
def replay(settings: Settings, /, spec: str, *, listen: str, **asked: Any) -> None:
    """Run a pipeline on a past interval of what it reads, as a consumer of its own: the live one is not touched.

    Ends by itself. Stopped or killed before that, the same command goes on where it was. Exit codes: 0 all is replayed, 1 it was
    stopped or cannot go on, 78 a bad spec.
    """
    from stockifyd.daemon.logs import set_up  # noqa: PLC0415  see above
    from stockifyd.spec.replayed import Interval, replayed  # noqa: PLC0415

    interval = Interval(**asked)
    if not interval.start < interval.end <= datetime.now(UTC):
        raise click.UsageError("--from must be before --to, and --to must be past: what is still to come is no replay")
    try:
        made = replayed(settings.spec(spec), interval)
    except ValueError as error:
        raise click.UsageError(f"--into {interval.into!r}: {error}") from error
    for name in made.left_out:
        click.echo(f"sink '{name}' writes into no schema, and is left out", err=True)
    console = set_up(settings.log_format, settings.log_level)
    sys.exit(_run(made.spec, interval, console=console, listen=listen, path=spec))


def _run(spec: Spec, interval: Interval, *, console: LineHandler, listen: str, path: str) -> int:
    from stockifyd.daemon import once  # noqa: PLC0415  see above
    from stockifyd.daemon.daemon import Daemon, Doors  # noqa: PLC0415  imports aiohttp
    from stockifyd.daemon.loop import calm_collector, new_loop  # noqa: PLC0415
    from stockifyd.daemon.places import own_folder  # noqa: PLC0415
    from stockifyd.daemon.supervised import Supervised  # noqa: PLC0415
    from stockifyd.daemon.supervisor import Supervisor  # noqa: PLC0415
    from stockifyd.spec import Instance  # noqa: PLC0415

    async def work() -> int:
        if found := await once.findings(spec):
            click.echo("\n".join((*found, *_cure(interval, path))), err=True)
            return 1
        calm_collector()
        supervisor = Supervisor(None, lambda one: Supervised(one, Instance()), [spec])
        doors = Doors(listen, os.environ.get("STOCKIFYD_TOKEN", ""), own_folder(spec.name))
        daemon = Daemon(supervisor, console=console if sys.stderr.isatty() else None, doors=doors)
        return _told(await once.run(supervisor, daemon), interval, path)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(work())


def _told(outcome: Outcome, interval: Interval, path: str) -> int:
    counts = f"{outcome.messages:,} messages, {outcome.dead_letters:,} dead letters"
    if outcome.is_whole:
        where = f" into {interval.into}" if interval.into else ""
        click.echo(f"✓ replayed {interval.start.isoformat()} to {interval.end.isoformat()}{where}: {counts}")
        return 0
    if outcome.halted is not None:
        click.echo("\n".join((outcome.halted.reason, *_cure(interval, path))), err=True)
    click.echo(f"not the whole interval was replayed, but {counts}; the same command goes on from there", err=True)
    return outcome.exit_code or 1


def _cure(interval: Interval, path: str) -> list[str]:
    if not interval.into:
        return []
    return [f"  HINT: `stockifyd migrate {path} --into {interval.into}`, as the owner, makes the schema and its tables"]
