"""History from the replica into Kafka, at a speed."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic
from typing import Any

import yaml

from kit.history import CHAINS, DAYS, SPEC, STRIKES, History
from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic, read_all
from kit.worker import Worker

SPEED = 400.0


async def test_a_day_at_a_speed(history: History, kafka: KafkaServer, tmp_path: Path) -> None:
    """Whole chains with their key and time, in the order of time of each key, no faster than the day over the speed."""
    topic = "market.history"
    await create_topic(kafka.direct, topic, 3)
    spec: dict[str, Any] = yaml.safe_load(SPEC.read_text())
    spec |= {"transforms": [], "sinks": [{"type": "kafka", "brokers": kafka.bootstrap, "topic": topic, "partition": "key"}]}
    spec["delivery"] = {"speed": SPEED, "dead_letters": spec["delivery"]["dead_letters"]}
    path = tmp_path / "playing.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    settings = history.settings(tmp_path, HISTORICAL_TO=f"{DAYS[1]}T00:00:00Z")
    one, began = Worker(path, tmp_path / "log", settings=settings).start(), monotonic()
    assert 0 == await one.ended(120), one.log
    assert monotonic() - began >= (CHAINS - 1) * 3 / SPEED
    records = await read_all(kafka.direct, topic)
    for key in (b"13:2026-12-01", b"25:2026-12-01"):
        ours = [record for record in records if record.key == key]
        assert CHAINS == len(ours) == len({record.timestamp for record in ours})
        assert [record.timestamp for record in ours] == sorted(record.timestamp for record in ours)
        assert {STRIKES} == {len(json.loads(record.value)["rows"]) for record in ours}
