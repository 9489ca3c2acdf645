"""A reading that ends at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit.kafka_topics import produce, produce_transaction
from stockifyd.api import Drift

END_MS = 1_767_225_600_000
END = "2026-01-01T00:00:00Z"


async def ended(bench: Any, ledger: Any, **options: Any) -> None:
    """Returns when the source has; what it raises is raised."""
    async with bench.reading(ledger, end=END, **options) as task, asyncio.timeout(60):
        await task


async def test_what_is_before_is_read_and_it_returns(bench: Any) -> None:
    """In each partition up to the first message of the time, or to the end of the log where there is none."""
    await bench.topic_with(3)
    await produce(bench.direct, bench.topic, [b"a", b"b"], timestamp_ms=END_MS - 1)
    await produce(bench.direct, bench.topic, [b"at", b"after"], timestamp_ms=END_MS)
    await produce(bench.direct, bench.topic, [b"late"], timestamp_ms=END_MS - 1)
    await produce(bench.direct, bench.topic, [b"c"], partition=1, timestamp_ms=END_MS - 1)
    ledger = bench.ledger()
    await ended(bench, ledger)
    assert [b"a", b"b", b"c"] == sorted(ledger.values(bench.topic))
    assert {(bench.topic, 0): 2, (bench.topic, 1): 1, (bench.topic, 2): 0} == ledger.offsets()


async def test_an_interval(bench: Any) -> None:
    """With a start that is a time: what lies between."""
    await bench.topic_with(1)
    for n, body in enumerate((b"before", b"in", b"at the end")):
        await produce(bench.direct, bench.topic, [body], timestamp_ms=END_MS - 2000 + 1000 * n)
    ledger = bench.ledger()
    await ended(bench, ledger, start="2025-12-31T23:59:59Z")
    assert [b"in"] == ledger.values(bench.topic)


async def test_a_second_run_has_nothing_to_do(bench: Any) -> None:
    """It claims, finds that it is at the end, and returns; messages that came since are not its business."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a"], timestamp_ms=END_MS - 1)
    await produce(bench.direct, bench.topic, [b"b"], timestamp_ms=END_MS + 1)
    ledger = bench.ledger()
    await ended(bench, ledger)
    await ended(bench, ledger)
    assert [b"a"] == ledger.values(bench.topic)


async def test_control_records_before_the_end(bench: Any) -> None:
    """The marker of a transaction is passed: it ends behind it."""
    await bench.topic_with(1)
    await produce_transaction(bench.direct, bench.topic, [b"never"], abort=True)
    ledger = bench.ledger()
    now = "2026-11-20T00:00:00Z"
    async with bench.reading(ledger, end=now) as task, asyncio.timeout(60):
        await task
    assert [] == ledger.values(bench.topic)


async def test_a_time_to_come_is_refused(bench: Any) -> None:
    """Messages of before it may still come: what is read would depend on when."""
    with pytest.raises(Drift, match="in the future"):
        await bench.source(end="2199-01-01T00:00:00Z").open()
