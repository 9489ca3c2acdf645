"""A join is answered when the whole group has come; every other request soon, or its link is dead."""

from __future__ import annotations

from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.protocol.group import JoinGroupRequest


def join_patiently(client: AIOKafkaClient, secs: float) -> None:
    """Wait so long for the answer to a join. aiokafka gives every request the same time, and would begin anew for ever."""
    send = client.send

    async def sent(node_id: int, request: Any, *, group: int = ConnectionGroup.DEFAULT) -> Any:
        connection = await client._get_conn(node_id, group=group) if isinstance(request, JoinGroupRequest) else None  # noqa: SLF001
        if connection is None:
            return await send(node_id, request, group=group)
        usual, connection._request_timeout = connection._request_timeout, secs  # noqa: SLF001
        try:
            return await send(node_id, request, group=group)
        finally:
            connection._request_timeout = usual  # noqa: SLF001

    client.send = sent
