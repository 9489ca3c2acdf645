"""The command `stockifyd simulate`: a simulated day, or recorded chains, as JSON lines."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import click
import msgspec

from stockifyd.api import Reject
from stockifyd_optionchain.figures import INDIA
from stockifyd_optionchain.vendors import READERS
from stockifyd_optionchain.vendors.envelope import Vendor

if TYPE_CHECKING:  # the simulator is imported where it is used: every start of stockifyd imports this module
    from stockifyd_optionchain.simulator import Produced, Simulator

MAX_PORT = 65_535


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The trading day; default: today in India.")
@click.option("--chains", type=click.IntRange(min=0), help="Stop after this many; default: at the close of the day.")
@click.option("--form", type=click.Choice(["canonical", *READERS]), default="canonical", show_default=True)
@click.option("--interval-secs", default=3.0, show_default=True, help="Between two chains of one expiry.")
@click.option("--symbols", default="", help="Comma separated; default: all that are known.")
@click.option("--strikes", default=250, show_default=True, help="Strikes of each expiry; two options each.")
@click.option(
    "--recorded",
    type=click.Path(exists=True, dir_okay=False),
    multiple=True,
    help="Emit this answer of Upstox instead, received at the close of --day (default: of its expiry's day). May be repeated.",
)
@click.option(
    "--serve",
    metavar="HOST:PORT",
    help="Be Upstox's HTTP API of that day in place of writing, until Ctrl-C; its open is now. Port 0: any that is free.",
)
def simulate(
    *,
    day: datetime | None,
    chains: int | None,
    form: str,
    recorded: tuple[str, ...],
    serve: str | None,
    **options: Any,
) -> None:
    """Write option chains to standard output, one JSON object a line: key, timestamp_ms, value."""
    if serve is not None:
        if recorded or chains is not None or form not in ("canonical", "upstox"):
            raise click.UsageError("--serve goes with --seed, --day, --interval-secs, --symbols and --strikes alone")
        _serve(serve, day.date() if day else datetime.now(INDIA).date(), **options)
        return
    if recorded and form not in ("canonical", "upstox"):
        raise click.UsageError(f"--form {form}: what is recorded is Upstox's; write canonical or upstox")
    on = day.date() if day else None
    messages = _recorded(recorded, on, form) if recorded else _simulated(on or datetime.now(INDIA).date(), form, **options)
    _write(islice(messages, chains))


def _simulated(day: date, form: str, **options: Any) -> Iterator[Produced]:
    simulator = _simulator(day, **options)
    return iter(simulator) if form == "canonical" else simulator.raw(cast("Vendor", form))


def _serve(address: str, day: date, **options: Any) -> None:
    from stockifyd_optionchain.simulator.api import serve  # noqa: PLC0415  see above
    from stockifyd_optionchain.simulator.board import Board  # noqa: PLC0415

    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > MAX_PORT:
        raise click.UsageError(f"--serve {address}: write HOST:PORT, such as 127.0.0.1:8090")
    board = Board(_simulator(day, **options))
    try:
        asyncio.run(serve(board, host.strip("[]"), int(port), lambda url: click.echo(f"Upstox's API of {day} at {url}")))
    except OSError as error:
        raise click.ClickException(f"{address}: {error.strerror}") from error


def _simulator(day: date, *, symbols: str, **options: Any) -> Simulator:
    from stockifyd_optionchain.simulator import UNDERLYINGS, Simulator  # noqa: PLC0415  see above

    underlyings = [symbol.strip() for symbol in symbols.split(",")] if symbols else tuple(UNDERLYINGS)
    try:
        return Simulator(options.pop("seed"), day, underlyings=underlyings, **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _recorded(paths: Iterable[str], day: date | None, form: str) -> Iterator[Produced]:
    from stockifyd_optionchain.simulator.recorded import read_recorded  # noqa: PLC0415  see above

    for path in paths:
        try:
            yield read_recorded(path, day, form=form)
        except (OSError, Reject) as error:
            raise click.ClickException(f"{path}: {error}") from error


def _write(messages: Iterable[Produced]) -> None:
    out = sys.stdout.buffer
    encode = msgspec.json.Encoder().encode
    for key, value, timestamp_ms in messages:
        out.write(encode({"key": key.decode(), "timestamp_ms": timestamp_ms, "value": msgspec.Raw(value)}) + b"\n")
