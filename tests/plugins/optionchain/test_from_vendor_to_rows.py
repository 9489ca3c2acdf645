"""The transforms one after another, as the processor and what follows it have them; and how they share the event loop."""
# what is expected stands first in an assert

from __future__ import annotations

from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kit.turns import turns_beside
from stockifyd.api import Batch, Reject, Transform
from stockifyd.testing import flow, make, make_message, run
from stockifyd_optionchain import CheckChain, ClassifyBuildup, EnrichGreeks, FlattenChain, NormaliseChain, SummariseChain
from stockifyd_optionchain.pace import flattened, mapped
from stockifyd_optionchain.simulator import Simulator
from stockifyd_optionchain.vendors.envelope import Vendor

INSTRUMENTS = str(Path(__file__).resolve().parents[3] / "pipelines" / "reference" / "instruments.yaml")
MONDAY = date(2026, 11, 23)


def processor() -> list[Transform[Any]]:
    return [
        make(NormaliseChain, instruments=INSTRUMENTS),
        make(CheckChain, rate_pct=6.5),
        make(EnrichGreeks, rate_pct=6.5),
    ]


def enriched(vendor: Vendor) -> Batch:
    """What the processor would send."""
    simulated = islice(Simulator(5, MONDAY, strikes=40, interval_secs=3_600).raw(vendor), 60)
    [after] = run(Batch(tuple(make_message(n, one.value) for n, one in enumerate(simulated))), *processor())
    return Batch(
        tuple(make_message(n, msgspec.json.encode(m.value)) for n, m in enumerate(after.messages)), rejected=after.rejected
    )


def rows(batch: Batch) -> dict[str, list[dict[str, Any]]]:
    [after] = run(batch, make(FlattenChain), make(ClassifyBuildup), make(SummariseChain, rate_pct=6.5))
    return {name: list(table.dicts()) for name, table in after.tables.items()}


def test_three_vendors_say_the_same() -> None:
    """One market, answered by three vendors, gives the same rows, but for the volume of the day before, which one sends."""
    upstox, dhan, nse = (rows(enriched(vendor)) for vendor in ("upstox", "dhan", "nse"))  # type: ignore[arg-type]
    for row in dhan["options"]:
        assert isinstance(row.pop("prev_volume"), int)
    for table in (upstox, nse):
        assert {None} == {row.pop("prev_volume") for row in table["options"]}
    assert upstox == dhan == nse


def test_every_chain_becomes_rows() -> None:
    """No simulated chain is rejected on its way, and analytics of a chain that is wide enough leave nothing null."""
    batch = enriched("dhan")
    assert (60, ()) == (len(batch.messages), batch.rejected)
    found = rows(batch)
    assert (60, 60, 60 * 80, 60 * 80) == tuple(len(found[name]) for name in ("snapshots", "analytics", "options", "buildups"))
    *_, last = (row for row in found["analytics"] if (row["symbol_id"], row["expiry"]) == (13, date(2026, 11, 24)))
    assert [] == [name for name, value in last.items() if value is None]


def test_a_decoded_chain_gives_the_same() -> None:
    """Rows are the same of bytes and of a value that a `decode` made of them."""
    batch = enriched("nse")
    assert rows(batch) == rows(batch.map(lambda m: msgspec.json.decode(m.raw)))


async def test_the_loop_runs_between_two_chains() -> None:
    """Others have their turn after every message of a batch, in each transform."""
    simulated = islice(Simulator(5, MONDAY, strikes=4, interval_secs=3_600).raw("nse"), 10)
    raw = Batch(tuple(make_message(n, one.value) for n, one in enumerate(simulated)))
    assert await turns_beside(flow(raw, *processor())) >= 3 * 10
    [checked] = await flow(raw, *processor())
    assert await turns_beside(make(FlattenChain).apply(checked)) >= 10


async def test_paced_as_the_batch_itself() -> None:
    """`mapped` and `flattened` do what `Batch.map` and `Batch.flatten` do, rejects among it."""

    def odd(message: Any) -> int:
        if message.position.offset % 2:
            raise Reject("odd")
        return int(message.position.offset)

    batch = Batch(tuple(make_message(n) for n in range(5)))
    assert batch.map(odd) == await mapped(batch, odd)
    expected = batch.flatten("t", ("n",), lambda message: [(odd(message),)] * 2)
    assert expected == await flattened(batch, "t", ("n",), lambda index, message: [(odd(message),)] * 2)


@pytest.mark.parametrize("step", [NormaliseChain, CheckChain, EnrichGreeks])
def test_tables_pass(step: Any) -> None:
    """What changes the value leaves tables alone."""
    options: dict[str, Any] = {"instruments": INSTRUMENTS} if step is NormaliseChain else {"rate_pct": 6.5}
    assert {"t": ("a",)} == make(step, **options).tables({"t": ("a",)})
