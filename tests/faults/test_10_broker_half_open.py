"""Fault 10: the links to the broker stay open, and nothing comes through them."""

from __future__ import annotations

import asyncio

from faults.conftest import Sight, long_form
from kit.bed import Bed, scene
from kit.fixtures_bed import MakeBed
from kit.kafka import KafkaServer
from kit.proxy import FaultProxy

STALL_SECS = 3.0


@long_form
async def test_link_that_swallows_is_ridden_out(
    make_bed: MakeBed, sight: Sight, proxied: tuple[KafkaServer, FaultProxy], fault_secs: float
) -> None:
    """While all links swallow, new ones too, the worker stays and says so; afterwards it catches up by itself."""
    server, proxy = proxied
    async with scene(_bed(make_bed, server)) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        async with on.feed.flowing(30):
            await worker.until(lambda status: status["messages_delivered"] > 30)
            proxy.swallow = True
            await asyncio.sleep(fault_secs / 2)  # the long form: 60 s
            await worker.until_said("trying again until it works")
            proxy.swallow = False
        await on.judge()
        assert worker.alive
        sight.note(swallowed_secs=fault_secs / 2, claimed=worker.log.count("Assigned partitions"), messages=on.feed.sent)


@long_form
async def test_link_that_died_unseen_is_replaced(
    make_bed: MakeBed, sight: Sight, proxied: tuple[KafkaServer, FaultProxy]
) -> None:
    """Links that are dead on the broker's side alone are never answered again: the watch connects anew."""
    server, proxy = proxied
    async with scene(_bed(make_bed, server)) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        async with on.feed.flowing(30):
            await worker.until(lambda status: status["messages_delivered"] > 30)
            proxy.half_open()
            said = await worker.until_said("connecting anew")
        await on.judge()
        assert worker.alive
        sight.note(said=said[-90:], messages=on.feed.sent)


def _bed(make_bed: MakeBed, server: KafkaServer) -> Bed:
    return make_bed(kafka=server, partitions=4, source={"stall_secs": STALL_SECS})
