"""Apache Kafka: the source and the sink."""

from __future__ import annotations

from typing import Any

from stockifyd.api import Component, hookimpl
from stockifyd_kafka.options import KafkaOptions, KafkaSinkOptions
from stockifyd_kafka.sink import KafkaSink
from stockifyd_kafka.source import Kafka

__all__ = ["Kafka", "KafkaOptions", "KafkaSink", "KafkaSinkOptions"]


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    """The Kafka source and sink."""
    return [Kafka, KafkaSink]
