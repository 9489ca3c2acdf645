"""From Kafka to Kafka by `stockifyd run`, killed on the way."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import yaml

from kit.kafka_topics import create_topic, produce_all, read_all
from kit.worker import Worker

PARTITIONS, EACH = 3, 2_000


async def test_a_worker_killed_while_it_writes(bench: Any, tmp_path: Path, chance: random.Random) -> None:
    """Messages and rows: none is lost; each partition is in order but where the killed worker's last batch begins anew."""
    for end in ("in", "messages", "rows"):
        await create_topic(bench.direct, f"{bench.topic}-{end}", PARTITIONS)
    values = {p: [b'{"n":%d,"legs":[{"k":"CE"},{"k":"PE"}]}' % n for n in range(EACH)] for p in range(PARTITIONS)}
    await produce_all(bench.direct, f"{bench.topic}-in", values)
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(spec(bench), sort_keys=False))
    worker = Worker(path, tmp_path / "log", settings={})
    try:
        for _ in range(3):
            worker.start()
            await worker.until(lambda status: status["messages_delivered"] > 0)
            await asyncio.sleep(chance.uniform(0, 0.3))
            worker.kill()
        worker.start()
        await worker.until(lambda status: len(status["partitions"]) == PARTITIONS and status["lag"] == 0)
        assert 0 == await worker.stop()
    finally:
        worker.kill()
    check(await read_all(bench.direct, f"{bench.topic}-messages"), 1)
    check(await read_all(bench.direct, f"{bench.topic}-rows"), 2)


def spec(bench: Any) -> dict[str, Any]:
    door = {"type": "kafka", "brokers": bench.kafka.bootstrap}
    source = {**bench.options(), "type": "kafka", "topics": [f"{bench.topic}-in"], "membership": "static"}
    columns = {"n": {"from": "$.n", "type": "int"}, "k": {"type": "text"}}
    return {
        "version": 1,
        "name": "through",
        "source": source,
        "transforms": [{"type": "flatten", "table": "legs", "each": "legs", "columns": columns}],
        "sinks": [
            {**door, "name": "messages", "topic": f"{bench.topic}-messages"},
            {**door, "name": "rows", "topic": f"{bench.topic}-rows", "table": "legs", "key": "k"},
        ],
        "delivery": {
            "batch_max_rows": 20,
            "dead_letters": {"sink": {**door, "topic": f"{bench.topic}-in", "table": "dead_letters"}},
        },
    }


def check(records: list[Any], of_a_message: int) -> None:
    """Each message's records are there in full, in the partition of the message; first copies are in order."""
    for partition in range(PARTITIONS):
        ours = [r for r in records if r.partition == partition]
        about = [dict(r.headers) for r in ours]
        assert {b"%d" % partition} == {headers["stockifyd-partition"] for headers in about}
        places = [(int(h["stockifyd-offset"]), int(h["stockifyd-index"])) for h in about]
        assert [(offset, index) for offset in range(EACH) for index in range(of_a_message)] == list(dict.fromkeys(places))
        assert [offset for offset, _ in places] == [json.loads(r.value)["n"] for r in ours]
