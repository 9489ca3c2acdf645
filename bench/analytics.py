"""CPU of the transforms of option chains, a chain of 500 options at a time, beside a loop over vollib (py_vollib's heir)."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from vollib.black.greeks import analytical
from vollib.black.implied_volatility import implied_volatility

from stockifyd.api import Batch, Context, Message, Partition, Position, Row, Table, Transform, configure
from stockifyd_optionchain import Chain, CheckChain, ClassifyBuildup, EnrichGreeks, NormaliseChain, SummariseChain
from stockifyd_optionchain.settlement import years_to
from stockifyd_optionchain.simulator import Simulator

ROOT = Path(__file__).parent.parent
RATE_PCT = 6.5
INSTRUMENTS = str(ROOT / "pipelines" / "reference" / "instruments.yaml")
STEPS: dict[str, tuple[type[Transform[Any]], dict[str, Any]]] = {
    "normalise_chain": (NormaliseChain, {"instruments": INSTRUMENTS}),
    "check_chain": (CheckChain, {"rate_pct": RATE_PCT}),
    "enrich_greeks": (EnrichGreeks, {"rate_pct": RATE_PCT}),
    "classify_buildup": (ClassifyBuildup, {}),
    "classify_recent": (ClassifyBuildup, {"history": "history", "table": "recent_buildups"}),
    "summarise_chain": (SummariseChain, {"rate_pct": RATE_PCT}),
}
ANALYTICS = ("enrich_greeks", "classify_buildup", "classify_recent", "summarise_chain")
PAST = ("symbol_id", "expiry", "strike_price", "option_type", "ltp", "oi", "timestamp")
TOGETHER = "enrich, classify and summarise"
LOOPS = ("vollib, iv", "vollib, iv and greeks")


def batch_of(chains: int, vendor: str) -> Batch:
    """Simulated chains of NIFTY, of all its expiries, from an hour into the session on."""
    produced = Simulator(1, datetime.now(UTC).date() + timedelta(days=1), underlyings=["NIFTY"], strikes=250, interval_secs=600)
    each = islice(produced.raw(vendor), 7 * 6, 7 * 6 + chains)  # type: ignore[arg-type]
    return Batch(tuple(Message(Position(Partition("raw"), n), value) for n, (_, value, _) in enumerate(each)))


def looked_up(batch: Batch) -> Batch:
    """With a history of each option, as a `lookup` leaves it; bench/lookups.py measures the looking up."""

    rows, ends = list[Row](), list[int]()
    for message in batch.messages:
        chain: Chain = message.value
        at = chain.timestamp - timedelta(minutes=10)
        rows += ((chain.symbol_id, o.expiry, o.strike, o.option_type, o.ltp, (o.oi or 0) + 1, at) for o in chain.options)
        ends.append(len(rows))
    return batch.with_table("history", Table(PAST, rows, ends))


async def opened(step: str) -> Transform[Any]:
    kind, options = STEPS[step]
    made = kind(configure(kind, options), Context("bench", step, logging.getLogger("bench")))
    await made.open()
    return made


async def measured(do: Callable[[], Awaitable[Any]], chains: int) -> tuple[float, Any]:
    """CPU milliseconds of this process for a chain, and the answer."""
    gc.collect()
    begun = time.process_time()
    answer = await do()
    return (time.process_time() - begun) * 1000 / chains, answer


async def through(transform: Transform[Any], batch: Batch) -> Batch:
    changed = transform.apply(batch)
    return await changed if not isinstance(changed, Batch) else changed


async def loop(batch: Batch, *, greeks: bool) -> None:
    """What a program in plain Python does: an option at a time, on the forward that the simulator knows."""
    rate = RATE_PCT / 100
    for message in batch.messages:
        chain: Chain = message.value
        years = years_to(chain.options[0].expiry, chain.timestamp)
        forward = ((chain.context and chain.context.spot_price) or 0.0) * (1 + rate * years)
        for option in chain.options:
            flag = "c" if option.option_type == "CE" else "p"
            if not option.ltp or (forward - option.strike) * (1 if flag == "c" else -1) > 0:
                volatility = option.iv or 0.2  # in the money: the other side's, as ours
            else:
                volatility = implied_volatility(option.ltp, forward, option.strike, rate, years, flag)
            if greeks:
                for name in ("delta", "gamma", "theta", "vega", "rho"):
                    getattr(analytical, name)(flag, forward, option.strike, years, rate, volatility)


async def a_round(chains: int, vendor: str) -> dict[str, float]:
    found: dict[str, float] = {}
    batch, made = batch_of(chains, vendor), {step: await opened(step) for step in STEPS}
    for step in ("normalise_chain", "check_chain", "enrich_greeks"):
        found[step], batch = await measured(lambda s=step, b=batch: through(made[s], b), chains)  # type: ignore[misc]
    sent = Batch(tuple(Message(m.position, msgspec.json.encode(m.value)) for m in batch.messages))
    decoder = msgspec.json.Decoder(Chain)

    async def decode() -> Batch:
        return sent.map(lambda message: decoder.decode(message.raw))

    found["decode"], batch = await measured(decode, chains)
    batch = looked_up(batch)
    for step in ("classify_buildup", "classify_recent", "summarise_chain"):
        found[step], batch = await measured(lambda s=step, b=batch: through(made[s], b), chains)  # type: ignore[misc]
    for name in LOOPS:
        found[name], _ = await measured(lambda n=name: loop(batch, greeks=n == LOOPS[1]), chains)  # type: ignore[misc]
    return found


def measure(rounds: int, chains: int = 40, vendor: str = "upstox") -> list[dict[str, float]]:
    """CPU milliseconds for a chain of 500 options by step, of each round; with the analytics all told, and a loop beside them."""
    asyncio.run(a_round(2, vendor))  # what is imported on first use is imported now
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)  # as the daemon has it, ADR 9
    found = [asyncio.run(a_round(chains, vendor)) for _ in range(rounds)]
    for one in found:
        one[TOGETHER] = sum(one[step] for step in ANALYTICS)
    return found
