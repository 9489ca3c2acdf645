"""A simulated day as vendors answer it and as the processor makes it, and the rows that must come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.structs import replace

from stockifyd.api import Batch, Row, Transform
from stockifyd.testing import flow, make, make_message
from stockifyd_optionchain import CheckChain, ClassifyBuildup, EnrichGreeks, FlattenChain, NormaliseChain, SummariseChain
from stockifyd_optionchain.simulator import Produced, Simulator
from stockifyd_optionchain.simulator.forms import enveloped
from stockifyd_optionchain.vendors.envelope import Vendor

PIPELINES = Path(__file__).parents[2] / "pipelines"
INSTRUMENTS = str(PIPELINES / "reference" / "instruments.yaml")
RATE_PCT = 6.5
VENDORS: tuple[Vendor, ...] = ("upstox", "dhan", "nse")
NO_ANSWER = b"<html><body>502 Bad Gateway</body></html>"


def answers(seed: int, *, strikes: int, bad_every: int = 0) -> Iterator[Produced]:
    """`market.raw`: the vendors take turns; now and then one answers with a page of HTML."""
    # Yesterday: a broker refuses a message whose time is ahead of it by an hour.
    day = datetime.now(UTC).date() - timedelta(days=1)
    simulator = Simulator(seed, day, strikes=strikes, interval_secs=3.0)
    for number, ((key, chain), vendor) in enumerate(zip(simulator.chains(), cycle(VENDORS), strict=False), 1):
        at = round(chain.timestamp.timestamp() * 1000)
        yield Produced(key, msgspec.json.encode(enveloped(chain, vendor)), at)
        if bad_every and number % bad_every == 0:
            yield Produced(key, NO_ANSWER, at)


async def enriched(raw: Iterable[Produced]) -> list[Produced]:
    """What the processor makes of answers that are all good."""
    given = list(raw)
    batch = await _through(given, make(NormaliseChain, instruments=INSTRUMENTS), *_checks())
    values = [msgspec.json.encode(message.value) for message in batch.messages]
    return [Produced(one.key, value, one.timestamp_ms) for one, value in zip(given, values, strict=True)]


async def stored(chains: Iterable[Produced]) -> Mapping[str, list[Row]]:
    """The tables that the storage pipeline makes of enriched chains."""
    return _tables(await _through(list(chains), make(FlattenChain)))


async def analysed(chains: Iterable[Produced]) -> Mapping[str, list[Row]]:
    """The tables that the analytics pipeline makes of them."""
    return _tables(await _through(list(chains), make(ClassifyBuildup), make(SummariseChain, rate_pct=RATE_PCT)))


def write_spec(name: str, path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A pipeline that ships, changed, in a file of its own."""
    spec = yaml.safe_load((PIPELINES / f"{name}.yaml").read_text())
    change(spec)
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def _checks() -> list[Transform[Any]]:
    return [make(CheckChain, rate_pct=RATE_PCT), make(EnrichGreeks, rate_pct=RATE_PCT)]


async def _through(given: list[Produced], *transforms: Transform[Any]) -> Batch:
    messages = [replace(make_message(offset, one.value), timestamp_ms=one.timestamp_ms) for offset, one in enumerate(given)]
    [after] = await flow(Batch(tuple(messages)), *transforms)
    assert not after.rejected, after.rejected[0].reason
    return after


def _tables(batch: Batch) -> Mapping[str, list[Row]]:
    return {name: list(table.rows) for name, table in batch.tables.items()}
