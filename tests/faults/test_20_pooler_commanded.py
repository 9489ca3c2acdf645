"""Fault 20: PgBouncer pauses, kills, reconnects by its admin console, and stands still."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable

from faults.conftest import Sight, long_form
from kit.bed import Scene, scene
from kit.eventually import eventually
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.proxy import PostgresProxy, copy_block

ROUND_SECS = 10
BACKLOG = 60
Command = Callable[[Scene, Database], Awaitable[None]]


async def _stored(on: Scene) -> int:
    return sum((await on.bed.books.next()).values())


async def _pause(on: Scene, database: Database) -> None:
    await asyncio.to_thread(database.pooler.admin, "PAUSE")  # returns when every transaction is over
    before = await _stored(on)
    await asyncio.sleep(1)
    assert await _stored(on) == before
    await asyncio.to_thread(database.pooler.admin, "RESUME")


async def _kill(on: Scene, database: Database) -> None:
    await asyncio.to_thread(database.pooler.admin, f"KILL {database.name}")
    await asyncio.sleep(1)
    await asyncio.to_thread(database.pooler.admin, f"RESUME {database.name}")


async def _reconnect(on: Scene, database: Database) -> None:
    await asyncio.to_thread(database.pooler.admin, "RECONNECT")


async def _freeze(on: Scene, database: Database) -> None:
    signal_pooler(database, signal.SIGSTOP)
    await asyncio.sleep(1)
    signal_pooler(database, signal.SIGCONT)


def signal_pooler(database: Database, number: signal.Signals) -> None:
    assert database.pooler.child is not None
    os.kill(database.pooler.child.pid, number)


COMMANDS: dict[str, Command] = {"PAUSE": _pause, "KILL": _kill, "RECONNECT": _reconnect, "SIGSTOP": _freeze}


async def test_commanded_pooler_only_stalls(
    make_bed: MakeBed, sight: Sight, own_pooler: Database, chance: random.Random, fault_secs: float
) -> None:
    """Whatever an operator has the pooler do, it costs time and nothing else."""
    done: list[str] = []
    async with scene(make_bed(database=own_pooler)) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        async with on.feed.flowing(60):
            for _ in range(max(1, int(fault_secs / ROUND_SECS / 2))):
                for name in chance.sample(sorted(COMMANDS), len(COMMANDS)):
                    await asyncio.sleep(chance.uniform(0, 0.5))
                    before = await _stored(on)
                    await COMMANDS[name](on, own_pooler)
                    done.append(name)
                    while await _stored(on) == before:
                        assert worker.alive
                        await asyncio.sleep(0.05)
        await on.judge()
        sight.runs = len(done)
        sight.note(in_turn=" ".join(done), messages=on.feed.sent, snapshots=on.reader.snapshots)


async def test_worker_killed_in_copy_keeps_no_pause_waiting(make_bed: MakeBed, sight: Sight, own_pooler: Database) -> None:
    """No timeout of the server's ends a COPY whose client is gone, but its link ends with it, and so does PAUSE's waiting."""
    async with PostgresProxy(own_pooler.pooler.port) as proxy, scene(make_bed(database=own_pooler), big_every=2) as on:
        await on.feed.send(BACKLOG)
        await on.feed.settle()
        proxy.hold(copy_block(2))
        worker = on.bed.worker(database_url=on.bed.database.url_at(proxy.port))
        await eventually(lambda: proxy.holds)
        ends = proxy.ends + len(proxy.links)
        worker.kill()
        proxy.swallow = True  # the rest of the rows is lost: the server waits for it
        proxy.release()
        await eventually(lambda: proxy.ends >= ends)
        proxy.swallow = False
        await _pause(on, own_pooler)
        worker.start()
        await on.judge()
        sight.note(messages=on.feed.sent, snapshots=on.reader.snapshots)


@long_form
async def test_pooler_that_stands_still_is_given_up(make_bed: MakeBed, sight: Sight, own_pooler: Database) -> None:
    """Past the time of a statement and its grace the connection is given up, again and again, until the pooler goes on."""
    bed = make_bed(database=own_pooler, sink={"statement_timeout_ms": 1000, "connect_timeout_secs": 2})
    async with scene(bed) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        async with on.feed.flowing(60):
            signal_pooler(own_pooler, signal.SIGSTOP)
            address = f"{own_pooler.pooler.port}: "  # the sink's own words; the runtime says earlier that it is silent
            told = await worker.until(lambda status: address in status["reason"] and status["state"] == "waiting")
            signal_pooler(own_pooler, signal.SIGCONT)
            await worker.until_state("running")
        await on.judge()
        sight.note(reason=told["reason"][:90], messages=on.feed.sent, snapshots=on.reader.snapshots)
