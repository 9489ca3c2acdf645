"""The command `stockifyd simulate`: a simulated day, or recorded chains, as JSON lines."""

from __future__ import annotations

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
    from stockifyd_optionchain.simulator import Produced


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
def simulate(*, day: datetime | None, chains: int | None, form: str, recorded: tuple[str, ...], **options: Any) -> None:
    """Write option chains to standard output, one JSON object a line: key, timestamp_ms, value."""
    if recorded and form not in ("canonical", "upstox"):
        raise click.UsageError(f"--form {form}: what is recorded is Upstox's; write canonical or upstox")
    on = day.date() if day else None
    messages = _recorded(recorded, on, form) if recorded else _simulated(on or datetime.now(INDIA).date(), form, **options)
    _write(islice(messages, chains))


def _simulated(day: date, form: str, *, symbols: str, **options: Any) -> Iterator[Produced]:
    from stockifyd_optionchain.simulator import UNDERLYINGS, Simulator  # noqa: PLC0415  see above

    underlyings = [symbol.strip() for symbol in symbols.split(",")] if symbols else tuple(UNDERLYINGS)
    try:
        simulator = Simulator(options.pop("seed"), day, underlyings=underlyings, **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return iter(simulator) if form == "canonical" else simulator.raw(cast("Vendor", form))


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
