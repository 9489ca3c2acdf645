"""The story: servers, tables, feed, two workers of which one is killed, the proof, a question."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg

from stockifyd_demo import proof, question
from stockifyd_demo.children import STOCKIFYD, Children
from stockifyd_demo.feed import PARTITIONS, TOPIC, Feed, recorded_chains
from stockifyd_demo.load import Load
from stockifyd_demo.servers import Postgres, Server, create_topic, kafka_settings, start_kafka, start_postgres
from stockifyd_demo.stage import Stage
from stockifyd_demo.workers import Workers

SHOWN = 8
"""Differences that are shown; of more, how many there are."""
SATURDAY = 5
LIVE_SECS = 0.5
NEWS_SECS = 30.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for. `interval_secs` is the time between two chains of one expiry."""

    spec: Path
    interval_secs: float
    stay: bool


async def tell(wishes: Wishes, children: Children) -> int:
    """All of it; 0 if everything is stored exactly once."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says each try of each connection
    began, stage = time.monotonic(), Stage()
    stage.say("stockifyd demo: option chains from Kafka into PostgreSQL, exactly once. Ctrl-C ends it and leaves nothing behind.")
    postgres, kafka = await _servers(stage, children)
    environment = {
        "DATABASE_URL": postgres.url,
        **kafka_settings(kafka),
        "STOCKIFYD_RUNTIME": str(children.folder),  # a killed worker leaves its control socket, which goes with the rest
        "XDG_STATE_HOME": str(children.folder),
    }
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(postgres.url)
        stack.push_async_callback(connection.close, timeout=2)
        await _tables(stage, children, wishes.spec, environment, connection)
        feed = await stack.enter_async_context(Feed(children, kafka.address))
        await _feed(stage, feed, kafka, wishes.interval_secs)
        workers = Workers(children, wishes.spec, environment)
        stage.scene(f"Two workers: stockifyd run {wishes.spec}")
        await Load(stage, workers, connection, messages=len(feed.sent)).run()
        is_proven = await _proof(stage, connection, feed)
        await _question(stage, connection, feed)
        stage.line("")
        stage.line(f"Done in {time.monotonic() - began:.0f} s.")
        if wishes.stay:
            await _stay(stage, feed, workers, connection, postgres)
    return 0 if is_proven else 1


async def _servers(stage: Stage, children: Children) -> tuple[Postgres, Server]:
    stage.scene("Servers of its own, on loopback, in a temporary folder")
    postgres, kafka = await asyncio.gather(start_postgres(children), start_kafka(children))
    for server in (postgres, kafka):
        stage.line(f"{server.title:<34} {server.address}")
    return postgres, kafka


async def _tables(
    stage: Stage, children: Children, spec: Path, environment: dict[str, str], connection: asyncpg.Connection
) -> None:
    stage.scene(f"Tables: stockifyd migrate {spec}")
    stage.line(await children.complete("migrate", [*STOCKIFYD, "migrate", spec], environment=environment))
    await proof.audit(connection)


async def _feed(stage: Stage, feed: Feed, kafka: Server, interval_secs: float) -> None:
    day = last_session(datetime.now(UTC).date())
    stage.scene(f"A trading day of option chains, into topic {TOPIC}")
    await create_topic(kafka.address, TOPIC, PARTITIONS)
    count = await feed.send("simulate", "--day", str(day), "--interval-secs", str(interval_secs))
    stage.line(f"{count:>4} simulated: 5 indices, each expiry every {interval_secs / 60:g} minutes of {day}")
    paths, folder = recorded_chains()
    if paths:
        count = await feed.send("simulate recorded", *(part for path in paths for part in ("--recorded", path)))
        stage.line(f"{count:>4} real: recorded from Upstox, from {folder}")
    else:
        stage.line(f"   0 real: no recorded chains in {folder} (STOCKIFYD_RECORDED_CHAINS may name another folder)")
    rows, size = sum(one.rows for one in feed.sent), sum(one.size for one in feed.sent)
    stage.line(f"{len(feed.sent):>4} messages: {rows:,} options, {size / 1e6:,.0f} MB of JSON, in {PARTITIONS} partitions")


def last_session(today: date) -> date:
    """The last day before today that is no weekend."""
    return next(day for back in (1, 2, 3) if (day := today - timedelta(days=back)).weekday() < SATURDAY)


async def _proof(stage: Stage, connection: asyncpg.Connection, feed: Feed) -> bool:
    stage.scene("Nothing lost, nothing doubled?")
    found = await proof.prove(connection, feed.sent)
    if not found.differences:
        sent, rows = len(feed.sent), sum(one.rows for one in feed.sent)
        stage.good(f"{found.messages:,} of {sent:,} messages and {found.rows:,} of {rows:,} rows are stored, every chain whole")
        stage.good("the SHA-256 of each chain's rows, computed by PostgreSQL, is that of the message that was sent")
        stage.good(f"the ledger moved {found.moves:,} times, each time from where it was: no offset was committed twice")
        stage.good("no dead letters, no gaps")
    for difference in found.differences[:SHOWN]:
        stage.bad(difference)
    if len(found.differences) > SHOWN:
        stage.bad(f"... and {len(found.differences) - SHOWN:,} differences more")
    return not found.differences


async def _question(stage: Stage, connection: asyncpg.Connection, feed: Feed) -> None:
    stage.scene("A question: put-call ratio and open interest of the last chains")
    stage.line(question.QUESTION)
    stage.line("")
    stage.table(question.COLUMNS, await question.ask(connection, {one.identity[0]: one.symbol for one in feed.sent}))


async def _stay(stage: Stage, feed: Feed, workers: Workers, connection: asyncpg.Connection, postgres: Postgres) -> None:
    """Until Ctrl-C, which is the right end here."""
    stage.scene("It stays up, with a gentle feed, until Ctrl-C")
    for worker in workers:
        stage.line(f"status page of worker {worker.number}: {worker.page}")
    stage.line(f"psql: {postgres.psql} {postgres.url}")
    try:
        await _live(stage, feed, workers, connection)
    except asyncio.CancelledError:
        stage.say("\nended")


async def _live(stage: Stage, feed: Feed, workers: Workers, connection: asyncpg.Connection) -> None:
    """Today's session, a chain at a time; at its end wait."""
    news = time.monotonic() + NEWS_SECS
    async for line in feed.lines("simulate live", "--day", str(datetime.now(UTC).date())):
        await (await feed.put(line))
        workers.check()
        if time.monotonic() > news:
            now, news = await proof.progress(connection), time.monotonic() + NEWS_SECS
            stage.line(
                f"{datetime.now().astimezone():%H:%M:%S}  {now.messages:,} of {len(feed.sent):,} messages, {now.rows:,} rows"
            )
        await asyncio.sleep(LIVE_SECS)
    await asyncio.Event().wait()
