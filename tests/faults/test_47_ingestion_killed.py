"""Fault 47: kill -9 of ingestion's instances, at random, while they poll a vendor into Kafka."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from faults.conftest import Sight
from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic, read_all
from kit.vendor import Asked, Reply, Vendor
from kit.worker import Worker
from stockifyd_http.partitioner import owner

SPEC = Path(__file__).parents[2] / "pipelines" / "ingestion.yaml"
DAYS = ("2099-11-24", "2099-12-01", "2099-12-08")
SYMBOLS, INTERVAL, PARTITIONS, LEAST = 24, 0.5, 6, 4
TOKEN = "the-token-of-the-day"


class Polled(NamedTuple):
    """One answer, as the vendor gave it and as the topic has it: its series, and its number in it."""

    series: str
    number: int


async def test_what_was_acknowledged_is_there_and_polling_goes_on(
    kafka: KafkaServer, tmp_path: Path, sight: Sight, chance: random.Random, fault_secs: float
) -> None:
    """The topic has each answer once, but those that a process died with; all is polled but while its instance is dead."""
    topic = f"market.raw.{time.monotonic_ns()}"
    await create_topic(kafka.direct, topic, PARTITIONS)
    with Vendor(answer) as vendor:
        workers = [worker(kafka, vendor, tmp_path, topic, instance) for instance in (1, 2)]
        try:
            delivered, dead = await killed_again_and_again(workers, chance, fault_secs)
        finally:
            for one in workers:
                one.kill()
    records = await read_all(kafka.direct, topic)
    found, asked = [polled(record) for record in records], [one for one in vendor.asked if one.path.endswith("chain")]
    assert delivered <= len(found) == len(set(found)), "what Kafka acknowledged is in the topic, and once"
    assert set(found) <= set(map(of_asked, asked))
    lost, lives = holes(asked, set(found)), len(dead)
    assert all(count <= lives for count in lost.values()), f"more than one answer of a series for each kill: {lost}"
    assert [] == unpolled(asked, dead, {one.instance[0]: one.log for one in workers})
    assert not any(TOKEN in one.log for one in workers)
    assert {record.key.decode() for record in records} == {f"S{n:02}:{day}" for n in range(SYMBOLS) for day in DAYS[:2]}
    assert_each_partition_has_its_series_in_order(records)
    sight.runs = lives
    sight.note(answers=len(found), lost_with_a_process=sum(lost.values()))


async def killed_again_and_again(workers: list[Worker], chance: random.Random, secs: float) -> tuple[int, list[Dead]]:
    """How many messages they said that they delivered, and when which instance was dead."""
    delivered, dead, until = 0, list[Dead](), time.monotonic() + secs
    for one in workers:
        one.start()
    while len(dead) < LEAST or time.monotonic() < until:
        for one in workers:
            await at_work(one)
        await asyncio.sleep(chance.uniform(0, 2 * INTERVAL))
        victim = chance.choice(workers)
        delivered += (await at_work(victim))["messages_delivered"]
        victim.kill()
        killed = time.time()
        victim.start()
        await at_work(victim)
        dead.append(Dead(victim.instance[0], killed, time.time()))
    for one in workers:
        delivered += (await at_work(one))["messages_delivered"]
        assert await one.stop() == 0
    return delivered, dead


async def at_work(worker: Worker) -> dict[str, Any]:
    """Once it has polled everything that is its."""
    return await worker.until(lambda status: status["messages_delivered"] > 2 * SYMBOLS)


class Dead(NamedTuple):
    """From the kill of an instance until it polled again."""

    instance: int
    since: float
    until: float


def answer(asked: Asked) -> Reply:
    """Upstox's form; the answer says which one of its series it is."""
    if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
        return Reply(b"{}", 401)
    if asked.path.endswith("contract"):
        return Reply(json.dumps({"data": [{"expiry": day} for day in DAYS]}).encode())
    return Reply(json.dumps({"status": "success", "data": [], "number": asked.number}).encode())


def worker(kafka: KafkaServer, vendor: Vendor, folder: Path, topic: str, instance: int) -> Worker:
    """An instance of the pipeline that ships, with more symbols, polled more often and at any time of the day."""
    spec: dict[str, Any] = yaml.safe_load(SPEC.read_text())
    for name in ("calendar", "window", "limits"):
        del spec["source"][name]
    spec["source"] |= {"symbols": {f"S{n:02}": {"instrument": f"X|S{n:02}"} for n in range(SYMBOLS)}, "interval_secs": INTERVAL}
    spec["source"]["expiries"]["nearest"] = 2
    spec["sinks"][0]["topic"] = topic
    spec["delivery"]["dead_letters"]["sink"]["topic"] = topic
    (path := folder / "ingestion.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    settings = {"UPSTOX_URL": vendor.url, "UPSTOX_TOKEN": TOKEN, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
    settings |= {"XDG_STATE_HOME": str(folder / "state")}
    return Worker(path, folder / f"ingestion-{instance}.log", settings=settings, instance=(instance, 2))


def polled(record: Any) -> Polled:
    envelope = json.loads(record.value)
    assert record.key.decode() == f"{envelope['symbol']}:{envelope['expiry']}"
    assert "upstox" == envelope["vendor"]
    return Polled(record.key.decode(), envelope["payload"]["number"])


def of_asked(asked: Asked) -> Polled:
    [symbol] = re.findall(r"S\d+", asked.query["instrument_key"])
    return Polled(f"{symbol}:{asked.query['expiry_date']}", asked.number)


def holes(asked: list[Asked], found: set[Polled]) -> dict[str, int]:
    """How many answers of each series are not in the topic, those at its end apart, which were on their way when all stopped."""
    given: dict[str, list[int]] = defaultdict(list)
    for one in asked:
        given[of_asked(one).series].append(one.number)
    last = {series: max((number for name, number in found if name == series), default=-1) for series in given}
    return {
        series: sum(Polled(series, number) not in found for number in numbers if number < last[series])
        for series, numbers in given.items()
    }


def unpolled(asked: list[Asked], dead: list[Dead], logs: dict[int, str]) -> list[str]:
    """Pauses of a series that neither the death of its instance nor a line of its log explains."""
    times: dict[str, list[float]] = defaultdict(list)
    for one in asked:
        times[of_asked(one).series].append(one.wall)
    return [
        f"{series} was not asked for {later - before:.1f} s"
        for series, walls in times.items()
        if (instance := owner(series.partition(":")[0], 2)) and "brought nothing" not in logs[instance]
        for before, later in pairwise(walls)
        if later - before > 3 * INTERVAL
        if not any(one.instance == instance and one.since <= later and before <= one.until for one in dead)
    ]


def assert_each_partition_has_its_series_in_order(records: list[Any]) -> None:
    """A series is in one partition, in the order in which it was answered."""
    homes: dict[str, set[int]] = defaultdict(set)
    numbers: dict[str, list[int]] = defaultdict(list)
    for record in records:
        series, number = polled(record)
        homes[series].add(record.partition)
        numbers[series].append(number)
    assert all(len(home) == 1 for home in homes.values())
    assert all(sorted(of) == of for of in numbers.values())
