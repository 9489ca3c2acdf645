"""Fault 32: retention deletes messages that were not read yet."""

from __future__ import annotations

import asyncio
import random

from faults.conftest import Sight
from kit.bed import Scene, scene
from kit.fixtures_bed import MakeBed
from kit.kafka_topics import delete_records
from kit.oracles import Gap


async def test_retention_while_it_is_down_halts_or_is_recorded(make_bed: MakeBed, sight: Sight, chance: random.Random) -> None:
    """It halts and says what is gone; told to go on, it records exactly that and reads what is left."""
    async with scene(make_bed(partitions=4)) as on:
        first = on.bed.worker()
        await on.feed.send(200)
        await on.bed.settled(on.feed)
        assert await first.stop() == 0
        stored = on.feed.ends
        await on.feed.send(300)
        lost = await _lose(on, chance)

        second = on.bed.worker()
        status = await second.until_state("halted")
        assert "were never read and are gone" in status["reason"]
        assert "on_gap: continue" in status["hint"]
        assert stored == await on.bed.books.next()
        assert [] == await on.bed.violations(on.feed)
        assert await second.stop() == 0

        on.bed.source = {"on_gap": "continue"}
        on.bed.write_spec()
        on.bed.worker()
        await on.feed.send(40)
        await on.judge()
        gaps = await _gaps(on)
        assert [(partition, stored[partition], first_left) for partition, first_left in sorted(lost.items())] == gaps
        sight.note(gaps=gaps, reason=status["reason"][:90], messages=on.feed.sent)


async def test_retention_while_it_runs_is_recorded(make_bed: MakeBed, sight: Sight) -> None:
    """A running worker whose next offset is deleted records what is gone, and goes on behind it."""
    async with scene(make_bed(partitions=2, source={"on_gap": "continue"})) as on:
        worker = on.bed.worker()
        await on.feed.send(100)
        await on.bed.settled(on.feed)
        worker.freeze()
        await on.feed.send(100)
        await on.feed.settle()
        await asyncio.sleep(1.5)  # the fetch that waited at the broker is answered, and takes part of it
        await on.feed.send(100)
        await on.feed.settle()
        await delete_records(on.bed.kafka.direct, {(on.bed.topic, p): end - 5 for p, end in on.feed.ends.items()})
        worker.thaw()
        await on.judge()
        gaps = await _gaps(on)
        assert [end - 5 for end in on.feed.ends.values()] == [behind for _, _, behind in gaps]
        assert worker.alive
        sight.note(gaps=gaps, messages=on.feed.sent)


async def _lose(on: Scene, chance: random.Random) -> dict[int, int]:
    """Delete some of what is not stored in two partitions, all of it in a third, nothing in the last."""
    await on.feed.settle()
    ends, stored = on.feed.ends, await on.bed.books.next()
    lost = {partition: chance.randrange(stored[partition] + 1, ends[partition]) for partition in (0, 1)} | {2: ends[2]}
    await delete_records(on.bed.kafka.direct, {(on.bed.topic, partition): first for partition, first in lost.items()})
    return lost


async def _gaps(on: Scene) -> list[Gap]:
    return sorted((await on.bed.books.everything()).gaps)
