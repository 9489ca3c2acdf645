"""The faults of a soak: each breaks something, heals it, and can be had again and again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from kit.fixtures_postgres import WRITER
from kit.proxy import commit, copy_data, swap
from kit.spoiled import spoiled
from soak.stage import Stage

CUT_SECS = 20.0
PAUSE_SECS = 30.0
"""Longer than a transaction may say nothing (`idle_in_transaction_timeout_ms`)."""
MOST_SPOILED = 2
BACKENDS = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{WRITER}'"
ACTIVITY = f"SELECT pid, state, wait_event, query FROM pg_stat_activity WHERE usename = '{WRITER}'"
MESSAGES = {"COPY": copy_data, "the swap": swap, "COMMIT": commit}


class NotHealedError(AssertionError):
    """What a fault broke is not what it was afterwards."""


async def worker_killed(on: Stage, chance: random.Random) -> None:
    on.victim.kill()
    await asyncio.sleep(chance.uniform(0, 3))
    on.victim.start()


async def worker_frozen(on: Stage, chance: random.Random) -> None:
    """For less or for more than its session."""
    on.victim.freeze()
    await asyncio.sleep(chance.uniform(1, 9))
    on.victim.thaw()


async def worker_stopped(on: Stage, chance: random.Random) -> None:
    code = await on.victim.stop()
    if code:
        raise NotHealedError(f"the worker ended with {code} at SIGTERM:\n{on.victim.last_log[-2000:]}")
    await asyncio.sleep(chance.uniform(0, 2))
    on.victim.start()


async def broker_killed(on: Stage, chance: random.Random) -> None:
    await asyncio.to_thread(on.kafka.kill)
    await asyncio.sleep(chance.uniform(0, 3))
    await asyncio.to_thread(on.kafka.start)


async def broker_restarted(on: Stage, chance: random.Random) -> None:
    await asyncio.to_thread(on.kafka.restart)


async def broker_silent(on: Stage, chance: random.Random) -> None:
    """What is on its way is lost, and nobody is told."""
    on.to_kafka.swallow = True
    await asyncio.sleep(chance.uniform(1, 7))
    on.to_kafka.swallow = False


async def broker_half_open(on: Stage, chance: random.Random) -> None:
    on.to_kafka.half_open()


async def postgres_crashed(on: Stage, chance: random.Random) -> None:
    await asyncio.to_thread(on.postgres.stop, "immediate")
    await asyncio.sleep(chance.uniform(0, 3))
    await asyncio.to_thread(on.postgres.start)


async def postgres_restarted(on: Stage, chance: random.Random) -> None:
    await asyncio.to_thread(on.postgres.restart, "fast")


async def backends_terminated(on: Stage, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 6)):
        await on.bed.sql(BACKENDS)
        await asyncio.sleep(0.5)


async def pooler_killed(on: Stage, chance: random.Random) -> None:
    await asyncio.to_thread(on.pooler.kill)
    await asyncio.sleep(chance.uniform(0, 3))
    await asyncio.to_thread(on.pooler.start)


async def pooler_paused(on: Stage, chance: random.Random) -> None:
    """PAUSE waits for transactions that have begun: the worst of them are ended when they have said nothing for a while."""
    pausing = asyncio.create_task(asyncio.to_thread(on.pooler.admin, "PAUSE"))
    await asyncio.wait({pausing}, timeout=PAUSE_SECS)
    waited_for = "" if pausing.done() else await asyncio.to_thread(_busy, on)
    await asyncio.sleep(chance.uniform(0.5, 5))
    await asyncio.to_thread(on.pooler.admin, "RESUME")
    if waited_for:
        raise NotHealedError(f"PAUSE waited for more than {PAUSE_SECS:.0f} s, for\n{waited_for}")
    await pausing


async def link_cut_at_copy(on: Stage, chance: random.Random) -> None:
    await _cut(on, chance, "COPY")


async def link_cut_at_swap(on: Stage, chance: random.Random) -> None:
    await _cut(on, chance, "the swap")


async def link_cut_at_commit(on: Stage, chance: random.Random) -> None:
    """The COMMIT is lost, or its answer."""
    await _cut(on, chance, "COMMIT")


async def database_silent(on: Stage, chance: random.Random) -> None:
    """What is on its way is lost; afterwards the links are reset, or stay as dead as they are."""
    on.to_pooler.swallow = True
    await asyncio.sleep(chance.uniform(1, 7))
    on.to_pooler.swallow = False
    if chance.random() < 0.5:
        on.to_pooler.reset_links()


async def database_slow(on: Stage, chance: random.Random) -> None:
    on.to_pooler.latency_secs, on.to_pooler.bandwidth = chance.uniform(0.05, 0.3), chance.randint(50_000, 300_000)
    await asyncio.sleep(chance.uniform(2, 6))
    on.to_pooler.latency_secs, on.to_pooler.bandwidth = 0.0, 0


async def messages_malformed(on: Stage, chance: random.Random) -> None:
    for _ in range(chance.randint(1, MOST_SPOILED)):
        value, _ = on.scene.feed.chain(0)
        way = chance.choice(list(spoiled(value, chance).values()))
        await on.scene.feed.send_bad(way, partition=chance.randrange(on.bed.partitions))


def _busy(on: Stage) -> str:
    servers = on.pooler.admin("SHOW SERVERS")
    return f"{servers}\nclients\n{on.pooler.admin('SHOW CLIENTS')}\nserver\n{on.bed.database.sql(ACTIVITY)}"


async def _cut(on: Stage, chance: random.Random, at: str) -> None:
    cuts, deadline = on.to_pooler.cuts, time.monotonic() + CUT_SECS
    on.to_pooler.cut(MESSAGES[at], "before" if chance.random() < 0.5 else "after")
    while on.to_pooler.cuts == cuts:
        if time.monotonic() > deadline:
            raise NotHealedError(f"no worker came to {at} for {CUT_SECS:.0f} s")
        await asyncio.sleep(0.05)


Fault = Callable[[Stage, random.Random], Awaitable[None]]
FAULTS: dict[str, Fault] = {
    fault.__name__.replace("_", " "): fault
    for fault in (
        worker_killed,
        worker_frozen,
        worker_stopped,
        broker_killed,
        broker_restarted,
        broker_silent,
        broker_half_open,
        postgres_crashed,
        postgres_restarted,
        backends_terminated,
        pooler_killed,
        pooler_paused,
        link_cut_at_copy,
        link_cut_at_swap,
        link_cut_at_commit,
        database_silent,
        database_slow,
        messages_malformed,
    )
}


def order(seed: int, count: int) -> list[str]:
    """Which fault comes when: all of them in turn, in an order of chance, then again in another."""
    chance, names = random.Random(seed), sorted(FAULTS)
    found: list[str] = []
    while len(found) < count:
        found += chance.sample(names, len(names))
    return found[:count]
