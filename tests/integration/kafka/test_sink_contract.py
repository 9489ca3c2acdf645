"""The contract of every sink, kept by the one that writes to Kafka."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic, read_all
from stockifyd.api import Row
from stockifyd.testing import SinkContract
from stockifyd_kafka import KafkaSink, connection, outlet

_numbers = itertools.count(1)


class TestKafkaSink(SinkContract[KafkaSink]):
    """Facts that hold of every sink; the far side breaks by standing still."""

    sink = KafkaSink
    kafka: KafkaServer
    topic: str

    @pytest.fixture(autouse=True)
    def prepared(self, kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kafka, self.topic = kafka, f"sink-contract-{next(_numbers)}"
        asyncio.run(create_topic(kafka.direct, self.topic, max_message_bytes="20000"))
        for module in (connection, outlet):
            monkeypatch.setattr(module, "CONNECT_SECS", 2)

    def options(self, tmp_path: Path) -> dict[str, Any]:
        where = {"brokers": self.kafka.direct, "topic": self.topic, "partition": "key"}  # batches come of many partitions
        return {**where, "table": "options", "delivery_timeout_ms": 2000}

    def bad_row(self) -> Row:
        return 1, Random(1).randbytes(30_000).hex()  # it does not pack

    async def stored(self, sink: KafkaSink) -> Sequence[Row]:
        return [tuple(json.loads(record.value).values()) for record in await read_all(self.kafka.direct, self.topic)]

    def break_it(self, component: KafkaSink) -> None:
        self.kafka.freeze()

    def mend_it(self, component: KafkaSink) -> None:
        self.kafka.thaw()
