"""Fault 33: the topic is deleted and made anew, and is shorter or longer than what was stored of the old one."""

from __future__ import annotations

import asyncio

import pytest

from faults.conftest import Sight, long_form
from kit.bed import Scene, scene
from kit.feed import Feed
from kit.fixtures_bed import MakeBed
from kit.kafka_topics import create_topic, delete_topic

STORED = 200
FORGET = "DELETE FROM stockifyd.offsets; TRUNCATE audit.moves, plain_options, plain_snapshots"
"""What an operator does who wants the new topic in place of the old; without its rows, the old topic's are not in the way."""
AWAY_SECS = 3
CASES = {"shorter": (40, "the topic was made anew or cut short"), "longer": (400, "the topic was made anew")}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("state", ["down", pytest.param("running", marks=long_form)])
async def test_recreated_topic_halts(make_bed: MakeBed, sight: Sight, state: str, case: str) -> None:
    """Nothing of the new topic is stored as if it were the old one's; an operator's decision starts it at its beginning."""
    count, reason = CASES[case]
    async with scene(make_bed(partitions=4)) as on:
        worker = on.bed.worker()
        await on.feed.send(STORED)
        await on.bed.settled(on.feed)
        if state == "down":
            assert await worker.stop() == 0
        async with await _recreated(on) as fresh:
            await fresh.send(count)
            await fresh.settle()
            if state == "down":
                worker.start()
            status = await worker.until_state("halted")
            assert reason in status["reason"]
            assert status["hint"]
            await asyncio.sleep(0.5)
            await on.bed.judge(on.feed, on.reader)

            assert await worker.stop() == 0
            await on.bed.sql(FORGET)
            # The old worker may have committed its offsets to the new topic; the new one's last commit is as it ends.
            anew = on.bed.worker(arguments=("--accept-new-ledger",))
            await on.bed.settled(fresh)
            assert await anew.stop() == 0
            assert [] == await on.bed.violations(fresh)
        sight.note(reason=status["reason"][:100], old=STORED, new=count)


async def _recreated(on: Scene) -> Feed:
    """A feed of other chains into a topic of the same name."""
    bed = on.bed
    await delete_topic(bed.kafka.direct, bed.topic)
    await asyncio.sleep(AWAY_SECS)
    await create_topic(bed.kafka.direct, bed.topic, bed.partitions)
    return Feed((bed.kafka.direct,), bed.topic, bed.partitions, seed=bed.seed + 1)
