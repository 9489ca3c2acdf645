"""The contract of every source, kept by the one that reads Kafka, behind a password."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic, produce_all
from stockifyd.testing import SourceContract
from stockifyd_kafka import Kafka, connection

_numbers = itertools.count(1)


class TestKafka(SourceContract[Kafka]):
    """Facts that hold of every source; the far side breaks by standing still."""

    source = Kafka
    bounded = False
    cuts = 6
    kill_at = (20, 60, 120)
    kafka: KafkaServer
    topic: str

    @pytest.fixture(autouse=True)
    def prepared(self, kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kafka, self.topic = kafka, f"source-contract-{next(_numbers)}"
        asyncio.run(create_topic(kafka.direct, self.topic, 2))
        monkeypatch.setattr(connection, "CONNECT_SECS", 2)

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {
            "brokers": self.kafka.sasl,
            "topics": [self.topic],
            "group": self.topic,
            "fetch_min_bytes": 1,
            "fetch_max_wait_ms": 200,
            "security": "SASL_PLAINTEXT",
            "username": "reader",
            "password": "reader-secret",
        }

    async def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        await produce_all(self.kafka.direct, self.topic, {0: bodies[::2], 1: bodies[1::2]})

    def break_it(self, component: Kafka) -> None:
        self.kafka.freeze()

    def mend_it(self, component: Kafka) -> None:
        self.kafka.thaw()
