"""Polling: so many symbols a second into Kafka by one instance, each an answer of 500 options."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import NamedTuple

from bed import Bed, Run

from kit.kafka_topics import create_topic
from kit.vendor import Reply, Vendor
from stockifyd_optionchain.simulator import Simulator
from stockifyd_optionchain.simulator.api import UpstoxApi
from stockifyd_optionchain.simulator.board import Board

PARTITIONS = 12
SETTLE_SECS = 5.0
SPEC = """version: 1
name: {topic}
source:
  type: http
  url: {url}/v2/option/chain
  parameters: {{instrument_key: "{{symbol}}", expiry_date: "{{expiry}}"}}
  expiries: {{days: ["2099-12-31"]}}
  envelope: {{vendor: upstox, symbol: "{{symbol}}", expiry: "{{expiry}}"}}
  interval_secs: 1
  symbols: {{{symbols}}}
sinks: [{{type: kafka, brokers: "${{KAFKA_BOOTSTRAP_SERVERS}}", topic: {topic}, partition: key}}]
delivery:
  dead_letters: {{sink: {{type: kafka, brokers: "${{KAFKA_BOOTSTRAP_SERVERS}}", topic: {topic}, table: dead_letters}}}}
"""


class Polled(NamedTuple):
    """Of one instance in a span of time: answers due, and those that are in Kafka; CPU seconds a second; MiB; kB an answer."""

    due: int
    stored: int
    cpu: float
    peak_mib: float
    answer_kb: float


def measure(at: Bed, topic: str, symbols: int, secs: float) -> Polled:
    """Polls every symbol once a second, for so long, after it has settled."""
    body = answer()
    asyncio.run(create_topic(at.kafka.direct, topic, PARTITIONS))
    with Vendor(lambda _: Reply(body)) as vendor:
        spec = at.folder / f"{topic}.yaml"
        names = ", ".join(f"S{number:03}: {{}}" for number in range(symbols))
        spec.write_text(SPEC.format(topic=topic, url=vendor.url, symbols=names))
        run = at.run(spec)
        run.address()
        time.sleep(SETTLE_SECS)
        first, cpu, began = delivered(run), run.usage()[0], time.perf_counter()
        time.sleep(secs)
        stored, (used, mib) = delivered(run) - first, run.usage()
        took = time.perf_counter() - began
        run.stop()
    return Polled(round(took) * symbols, stored, (used - cpu) / took, mib, len(body) / 1000)


def delivered(run: Run) -> int:
    """Answers that Kafka has acknowledged, right before the next ones are due."""
    while time.time() % 1 < 0.9:
        time.sleep(0.01)
    found: int = run.status()["messages_delivered"]
    return found


def answer() -> bytes:
    """A chain of 500 options, as Upstox answers it."""
    board = Board(Simulator(1, datetime.now(UTC).date(), underlyings=["NIFTY"], strikes=250, interval_secs=3600))
    api, [listed] = UpstoxApi(board), board.listed.values()
    return api.answer(listed, min(listed.series))
