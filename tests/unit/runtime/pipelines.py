"""Pipelines over the fakes, with waits of milliseconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from stockifyd.api import Component, Context
from stockifyd.runtime.blueprint import Blueprint, LaneComponents
from stockifyd.runtime.pipeline import Pipeline
from stockifyd.runtime.timing import Timing
from stockifyd.spec.model import Delivery
from stockifyd.testing import MemoryLedger, MemoryRows, MemorySource, MemoryStore, MemoryTopic, make

FAST = Timing(
    retry_first_secs=0.001,
    retry_cap_secs=0.005,
    look_at_ledger_secs=0.02,
    commit_secs=0.01,
    room_secs=0.01,
    release_secs=0.2,
    close_secs=1.0,
    journal_secs=0.0,
)


def context(name: str) -> Context:
    """A component's context in the pipeline `contract`."""
    return Context("contract", name, logging.getLogger(f"stockifyd.contract.{name}"), consumer="contract")


def blueprint(
    topic: MemoryTopic,
    *stores: MemoryStore,
    sink: type[Component[Any]] = MemoryLedger,
    make_lane: Callable[[], LaneComponents] | None = None,
    rows_each: int = 1,
    **delivery: Any,
) -> Blueprint:
    """memory source -> rows -> a sink a store; or whatever `make_lane` makes."""

    def lane() -> LaneComponents:
        sinks = [make(sink, context(f"sink{n}"), store=store.name) for n, store in enumerate(stores)]
        return LaneComponents([make(MemoryRows, context("rows"), rows_each=rows_each)], sinks)  # type: ignore[list-item]

    options = {"drain_secs": 1.0} | delivery
    return Blueprint(
        "contract", Delivery(**options), lambda: make(MemorySource, context("source"), topic=topic.name), make_lane or lane
    )


@asynccontextmanager
async def running(plan: Blueprint, **options: Any) -> AsyncIterator[Pipeline]:
    """A pipeline that runs while the block does, and is stopped then."""
    pipeline = Pipeline(plan, timing=FAST, **options)
    task = asyncio.create_task(pipeline.run())
    try:
        async with asyncio.timeout(20):
            yield pipeline
    finally:
        pipeline.stop()
        async with asyncio.timeout(20):
            await task


async def finish(plan: Blueprint, **options: Any) -> Pipeline:
    """Run a bounded pipeline to its end."""
    pipeline = Pipeline(plan, timing=FAST, **options)
    async with asyncio.timeout(20):
        await pipeline.run()
    return pipeline


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that no fake announces; the test's own timeout bounds it."""
    while not true():
        await asyncio.sleep(0.001)


def bodies(count: int, first: int = 0) -> list[str]:
    """Texts for messages, each another."""
    return [f"m{n}" for n in range(first, first + count)]


def texts(store: MemoryStore) -> list[str]:
    """What was stored of them, in order."""
    return [text for _, text in store.rows.get("options", [])]
