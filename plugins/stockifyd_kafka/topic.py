"""The topic that a sink writes: what is known of it before the first record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from logging import Logger

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.cluster import ClusterMetadata
from aiokafka.partitioner import murmur2

from stockifyd.api import Drift
from stockifyd_kafka.connection import CONNECT_SECS, client_arguments
from stockifyd_kafka.errors import describe, is_kafka
from stockifyd_kafka.options import KafkaSinkOptions

DEFAULT_MAX_BYTES = 1_048_588
"""What brokers take where nobody said otherwise."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the topic takes."""

    max_bytes: int = DEFAULT_MAX_BYTES
    compacted: bool = False
    """Records without a key are refused."""
    known: bool = False
    """Whether the topic's settings could be read."""


async def limits_of(options: KafkaSinkOptions, log: Logger) -> Limits:
    """What the topic's settings say; the defaults where we may not read them."""
    admin = AIOKafkaAdminClient(**client_arguments(options))
    try:
        async with asyncio.timeout(CONNECT_SECS):
            await admin.start()
            [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, options.topic)])
        [(code, why, _, _, entries)] = answer.resources
    except Exception as error:
        if not is_kafka(error):
            raise
        code, why, entries = -1, describe(error), []
    finally:
        with suppress(Exception):  # what it was asked for is known, or is not
            async with asyncio.timeout(CONNECT_SECS):
                await admin.close()
    if code:
        log.info("the settings of topic '%s' cannot be read, taking Kafka's defaults: %s", options.topic, why)
        return Limits(options.record_max_bytes or DEFAULT_MAX_BYTES)
    found = {entry[0]: entry[1] for entry in entries}
    takes = int(found["max.message.bytes"])
    return Limits(min(takes, options.record_max_bytes or takes), "compact" in found["cleanup.policy"], known=True)


def check_there(options: KafkaSinkOptions, cluster: ClusterMetadata) -> None:
    """Drift where there is no such topic. `cluster` holds all topics: asking for one by name would make it."""
    if options.topic not in cluster.topics():
        raise Drift(
            f"no topic '{options.topic}' on {options.brokers}, or no right to see it; none is created",
            hint=f"kafka-topics.sh --create --topic {options.topic} --partitions 60; or check `topic`",
        )


@dataclass
class Partitions:
    """Chooses partitions of a topic that has so many."""

    options: KafkaSinkOptions
    count: Callable[[], int]
    _by_key: dict[tuple[bytes, int], int] = field(default_factory=dict)

    def choose(self, number: int, key: bytes | None) -> int:
        """Drift where the source's number is beyond what the topic has."""
        count = self.count()
        if self.options.partition == "key":
            return number % count if key is None else self._of_key(key, count)
        if number >= count:
            topic = self.options.topic
            raise Drift(
                f"topic '{topic}' has {count} partitions, and a message came from number {number}",
                hint=f"kafka-topics.sh --alter --topic {topic} --partitions {number + 1}; or `partition: key`",
            )
        return number

    def _of_key(self, key: bytes, count: int) -> int:
        """As Kafka's Java client chooses: records of a key are where those of other producers are."""
        found = self._by_key.get((key, count))
        if found is None:
            if len(self._by_key) > 100_000:  # noqa: PLR2004  a cache, not a memory of all keys there ever were
                self._by_key.clear()
            found = self._by_key[key, count] = (murmur2(key) & 0x7FFFFFFF) % count
        return found
