"""Fixtures: one Kafka for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kit.kafka import KafkaServer


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A real Kafka, started once; tests use topics and groups of their own, and leave it running."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.users = {"reader": "reader-secret"}
    server.start()
    try:
        yield server
    finally:
        server.stop()
