"""Apache Kafka: the source."""

from __future__ import annotations

from typing import Any

from stockifyd.api import Component, hookimpl
from stockifyd_kafka.options import KafkaOptions
from stockifyd_kafka.source import Kafka

__all__ = ["Kafka", "KafkaOptions"]


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    """The Kafka source."""
    return [Kafka]
