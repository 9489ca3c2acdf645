"""The source `http` in a running pipeline, before a sink that keeps a ledger: gaps in between, and nothing lost beside them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace

import pytest

from kit.vendor import Asked, Reply, Vendor
from stockifyd.api import Unavailable
from stockifyd.testing import MemoryStore, MemoryTopic, make
from stockifyd_http import Http
from unit.runtime.pipelines import blueprint, context, running


def answer(asked: Asked) -> Reply:
    """Of each series every fifth poll fails; the others say which one they are."""
    return (
        Reply(b"", 503) if asked.number % 5 == 2 else Reply(json.dumps({"series": asked.path, "number": asked.number}).encode())
    )


@pytest.mark.parametrize("trouble", ["", "a sink that is away", "two lanes"])
async def test_gaps_are_recorded_between_messages_and_nothing_is_lost(vendor: Vendor, trouble: str) -> None:
    """Each answer is stored once, in order; each gap lies between the answers beside it; nobody is ever fenced."""
    vendor.behave = answer
    topic, store = MemoryTopic(), MemoryStore()
    symbols = {f"S{n}": {} for n in range(6)}
    options = {"url": f"{vendor.url}/{{symbol}}", "symbols": symbols, "interval_secs": 0.1, "tries": 1, "breaker_failures": 1000}
    plan = replace(
        blueprint(topic, store, lanes=2 if trouble == "two lanes" else 1), source=lambda: make(Http, context("http"), **options)
    )
    async with running(plan) as pipeline:
        if trouble == "a sink that is away":
            await store.until(lambda s: len(s.messages) > 20)
            store.fail(*[Unavailable("away")] * 30)
        await store.until(lambda s: len(s.messages) > 120 and len(s.gaps) > 12)
        assert 0 == pipeline.counters.rewinds
    assert [] == store.breaks()
    stored = defaultdict(list)
    for message in store.messages:
        stored[message.position.partition].append((message.position.offset, json.loads(message.raw)["number"]))
    assert len(stored) == len(symbols)
    for partition, found in stored.items():
        asked = [one for one in vendor.asked if one.path == f"/{partition.topic}" and one.number % 5 != 2]
        numbers = [number for _, number in found]
        assert [one.number for one in asked][: len(numbers)] == numbers
        offsets = [offset for offset, _ in found]
        gaps = [gap.span for gap in store.gaps if gap.partition == partition]
        assert all(not span.base <= offset < span.next for span in gaps for offset in offsets)
        assert gaps
    assert {"answered 503"} <= {gap.reason for gap in store.gaps}
