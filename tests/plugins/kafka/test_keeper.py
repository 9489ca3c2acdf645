"""The keeper as a task: it ends when it is told to."""

from __future__ import annotations

import asyncio
import logging

import pytest

from stockifyd.api import configure
from stockifyd.testing.claims import MemoryClaims
from stockifyd_kafka.keeper import Keeper
from stockifyd_kafka.member import Member
from stockifyd_kafka.source import Kafka


@pytest.mark.parametrize("turns", range(6))
async def test_it_ends_when_cancelled_just_as_it_is_woken(turns: int) -> None:
    """A rebalance wakes it in the moment in which the reading is given up: whoever ends the reading waits for it."""
    options = configure(Kafka, {"brokers": "localhost:9092", "topics": ["a"], "group": "g"})
    keeper = Keeper(options, logging.getLogger("stockifyd.tests"), 1)
    keeper.member = Member(options, keeper.log, machine=keeper.machine, wake=keeper.wake, instance_id=1)
    keeping = asyncio.create_task(keeper.keep(MemoryClaims()))
    for _ in range(10):
        await asyncio.sleep(0)
    keeper.wake.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.wait({keeping}, timeout=5)
    assert keeping.cancelled()
    await keeper.close()
