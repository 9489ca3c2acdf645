"""The story of the whole platform: a vendor, five pipelines, one of them killed, and the audit of all that was polled."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from stockifyd_demo import market, polled, reckoning
from stockifyd_demo.children import STOCKIFYD, Children, failed
from stockifyd_demo.course import RAW, Course, Wanted
from stockifyd_demo.daemons import Daemons
from stockifyd_demo.polled import Chain
from stockifyd_demo.screen import Screen
from stockifyd_demo.servers import Postgres, Server, create_topic, kafka_settings, start_kafka, start_postgres
from stockifyd_demo.stage import Stage

SHOWN = 8
"""Differences that are shown; of more, how many there are."""
PARTITIONS = 12
TOPICS = {RAW: PARTITIONS, "market.enriched": PARTITIONS, "market.analytics": PARTITIONS, "market.dead": 1}
VENDOR_SECS = 60.0
AUDIT_SECS = 60  # of the first minute only the end was polled
EXPORT = "options.csv"
HISTORY_POLLS = 2
"""So many polls before a chain lies the one that its recent build-ups are against: a demo has no ten minutes."""
HISTORY_WITHIN_SECS = 600


@dataclass(frozen=True, slots=True)
class WholeWishes:
    """What the user asked for: where the pipelines are, how often and how long is polled, and who is killed."""

    pipelines: Path
    interval_secs: float
    secs: float
    victim: str

    @property
    def ago(self) -> timedelta:
        """How old the chain is that recent build-ups are against."""
        return timedelta(seconds=HISTORY_POLLS * self.interval_secs)


@dataclass(frozen=True, slots=True)
class Ground:
    """The servers that the pipelines need."""

    postgres: Postgres
    kafka: Server
    vendor: Server


async def tell_whole(wishes: WholeWishes, children: Children) -> int:
    """All of it; 0 if every chain that was polled is everywhere once."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says each try of each connection
    began, stage = time.monotonic(), Stage()
    stage.say(
        "stockifyd demo-platform: a vendor's API to the last file, in five daemons. Ctrl-C ends it and leaves nothing behind."
    )
    ground = await _servers(stage, children, wishes.interval_secs)
    daemons = Daemons(children, wishes.pipelines.resolve(), _environment(ground, wishes, children.folder))
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(ground.postgres.url)
        stack.push_async_callback(connection.close, timeout=2)
        await _tables(stage, children, wishes.pipelines, ground)
        stage.scene("Five daemons: stockifyd run, of the pipelines that ship")
        export = children.folder / EXPORT
        wanted = Wanted(wishes.secs, wishes.interval_secs, wishes.victim)
        await Course(Screen(stage), daemons, connection, ground.kafka.address).run(wanted, export)
        stage.scene("Audit: is every chain that was polled in each place, once?")
        chains = await polled.chains(ground.kafka.address, RAW)
        found = await reckoning.find(connection, export)
        counts = {topic: await polled.count(ground.kafka.address, topic) for topic in TOPICS}
        is_right = _reckon(stage, chains, counts, found, ago=wishes.ago)
        if chains:
            await _audit(stage, children, ground, chains)
        stage.line("")
        stage.line(f"Done in {time.monotonic() - began:.0f} s.")
    return 0 if is_right else 1


async def _servers(stage: Stage, children: Children, interval_secs: float) -> Ground:
    stage.scene("Servers of its own, on loopback, in a temporary folder")
    postgres, kafka, vendor = await asyncio.gather(
        start_postgres(children), start_kafka(children), _start_vendor(children, interval_secs)
    )
    for server in (postgres, kafka, vendor):
        stage.line(f"{server.title:<34} {server.address}")
    return Ground(postgres, kafka, vendor)


async def _start_vendor(children: Children, interval_secs: float) -> Server:
    """Upstox's HTTP API, of a simulated day that begins now."""
    options = ("--serve", "127.0.0.1:0", "--interval-secs", str(interval_secs))
    child = children.start("vendor", [*STOCKIFYD, "simulate", *options])
    deadline = time.monotonic() + VENDOR_SECS
    while not (found := re.search(r"http://(\S+)", child.said())):
        if not child.is_running or time.monotonic() > deadline:
            raise failed(child)
        await asyncio.sleep(0.1)
    return Server("Upstox's HTTP API, simulated", found[1], child)


def _environment(ground: Ground, wishes: WholeWishes, folder: Path) -> dict[str, str]:
    """What leads the pipelines that ship to these servers."""
    database = urlsplit(ground.postgres.url)
    return {
        "DATABASE_URL": ground.postgres.url,
        "DATABASE_REPLICA_HOSTS": ground.postgres.address,  # there is one server, which is its own replica
        "DATABASE_USER": database.username or "",
        "DATABASE_PASSWORD": database.password or "",
        **kafka_settings(ground.kafka),
        "UPSTOX_URL": f"http://{ground.vendor.address}",
        "UPSTOX_REQUESTS_IN_HALF_AN_HOUR": "1000000",  # a vendor on loopback counts none
        "POLL_INTERVAL_SECS": str(wishes.interval_secs),
        "BUILDUP_AGO_SECS": str(wishes.ago.total_seconds()),
        "BUILDUP_WITHIN_SECS": str(HISTORY_WITHIN_SECS),
        "CALENDAR_FILE": str(market.always_open(folder)),
        "INSTRUMENTS_FILE": str(_instruments(wishes.pipelines).resolve()),
        "STOCKIFYD_RUNTIME": str(folder),  # a killed daemon leaves its control socket, which goes with the rest
        "XDG_STATE_HOME": str(folder),
    }


def _instruments(pipelines: Path) -> Path:
    return pipelines / "reference" / "instruments.yaml"


async def _tables(stage: Stage, children: Children, pipelines: Path, ground: Ground) -> None:
    stage.scene("Topics, and tables: stockifyd migrate")
    for topic, partitions in TOPICS.items():
        await create_topic(ground.kafka.address, topic, partitions)
    stage.line(", ".join(f"{topic} ({partitions})" for topic, partitions in TOPICS.items()))
    environment = {"DATABASE_URL": ground.postgres.url, "KAFKA_BOOTSTRAP_SERVERS": ground.kafka.address}
    load = ("--load", f"instruments={_instruments(pipelines)}")
    for name, more in (("storage", load), ("analytics", ())):
        command = [*STOCKIFYD, "migrate", pipelines / f"{name}.yaml", *more]
        stage.line(await children.complete(f"migrate {name}", command, environment=environment))


async def _audit(stage: Stage, children: Children, ground: Ground, chains: Sequence[Chain]) -> None:
    """What an operator would ask; StockifydError where a chain is missing, or not whole."""
    day, calendar = market.session(children.folder, chains)
    audit = ["audit", str(day), "--every-secs", str(AUDIT_SECS), "--deep"]
    stage.line("")
    stage.line(f"stockifyd {' '.join(audit)}")
    command = [*STOCKIFYD, *audit, "--calendar", str(calendar)]
    stage.line(await children.complete("audit", command, environment={"DATABASE_URL": ground.postgres.url}))


def _reckon(stage: Stage, chains: Sequence[Chain], counts: Mapping[str, int], found: reckoning.Found, *, ago: timedelta) -> bool:
    options = sum(one.options for one in chains)
    stage.table(("place", "chains", "rows"), list(_places(counts, found)))
    wrong = list(reckoning.differences(chains, found, ago))
    if not chains:
        wrong.append("nothing was polled")
    if chains and not found.with_history:
        wrong.append("no build-up had history")
    if counts["market.dead"]:
        wrong.append(f"{counts['market.dead']} dead letters in market.dead")
    if missing := max(0, len(chains) - counts["market.analytics"]):
        wrong.append(f"market.analytics lacks {missing} records")
    if not wrong:
        stage.good(f"each of {len(chains):,} chains that were polled is stored once, with all of its options: {options:,} rows")
        stage.good("the open interest of each, calls and puts, is what the vendor answered")
        stage.good("each has its analytics once, and a build-up for each option")
        stage.good(
            f"{found.with_history:,} of {options:,} build-ups had history: the chain of {ago.total_seconds():g} s before,"
            " looked up where storage had stored it"
        )
        stage.good(f"the exported file has each of the {options:,} rows once")
        stage.good("no dead letters, no gaps")
    for difference in wrong[:SHOWN]:
        stage.bad(difference)
    if len(wrong) > SHOWN:
        stage.bad(f"... and {len(wrong) - SHOWN:,} differences more")
    return not wrong


def _places(topics: Mapping[str, int], found: reckoning.Found) -> Iterator[tuple[str, str, str]]:
    """How many chains, and how many rows of them, are in each place that a daemon wrote."""
    for topic in (RAW, "market.enriched", "market.analytics"):
        again = topics[topic] - topics[RAW]
        yield f"topic {topic}", f"{topics[topic]:,}", f"{again:,} came again" if again else ""
    for place in (*reckoning.EACH_ONE, *reckoning.EACH_OPTION, reckoning.EXPORT):
        rows = found.rows[place]
        yield place, f"{len(rows):,}", f"{sum(rows.values()):,}"
