"""How long a join may take, and all else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest

from stockifyd_kafka.joining import join_patiently

JOIN = JoinGroupRequest("group", 6_000, 60_000, "", "", "consumer", [])
HEARTBEAT = HeartbeatRequest("group", 1, "me")


class Client:
    """As far as requests go: keeps the time that each was given."""

    def __init__(self) -> None:
        self.connection: Any = SimpleNamespace(_request_timeout=10)
        self.given: list[tuple[object, float]] = []
        self.broken = False

    async def _get_conn(self, _node_id: int, *, group: int) -> Any:
        assert group == 1
        return None if self.broken else self.connection

    async def send(self, _node_id: int, request: Any, *, group: int) -> str:
        self.given.append((type(request), self.connection._request_timeout))
        if self.broken:
            raise ConnectionError
        return f"answer of {group}"


async def test_a_join_alone_is_waited_for() -> None:
    """The request after it has the usual time."""
    client = Client()
    join_patiently(cast("AIOKafkaClient", client), 65)
    assert await client.send(1, JOIN, group=1) == "answer of 1"
    await client.send(1, HEARTBEAT, group=1)
    assert client.given == [(JoinGroupRequest, 65), (HeartbeatRequest, 10)]


async def test_a_join_without_a_connection_fails_as_it_would() -> None:
    """aiokafka's own error, at once."""
    client = Client()
    client.broken = True
    join_patiently(cast("AIOKafkaClient", client), 65)
    with pytest.raises(ConnectionError):
        await client.send(1, JOIN, group=1)
