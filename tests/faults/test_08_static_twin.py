"""Fault 8: two processes with the same static id, as when somebody starts instance 1 on a second machine."""

from __future__ import annotations

import asyncio

from faults.conftest import Sight
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.worker import Worker


async def test_one_of_two_twins_is_told(make_bed: MakeBed, sight: Sight) -> None:
    """The broker lets one of them in at a time; the other says why it stands still, and nothing is stored twice."""
    async with scene(make_bed(partitions=8, source={"membership": "static"})) as on:
        first = on.bed.worker(1, 1)
        async with on.feed.flowing(24):
            await first.until_owning(on.bed.partitions)
            twin = on.bed.worker(1, 1)
            loser, why = await _first_halted(first, twin)
            winner = twin if loser is first else first
            await winner.until_owning(on.bed.partitions)
            assert "INSTANCE_ID" in why
            assert await loser.stop() == 0
            seen = await winner.until(lambda status: status["state"] == "running")
            await winner.until(lambda status: status["messages_delivered"] > seen["messages_delivered"])
        await on.judge()
        sight.note(
            loser="first" if loser is first else "twin", said=why[:100], messages=on.feed.sent, snapshots=on.reader.snapshots
        )


async def _first_halted(*workers: Worker) -> tuple[Worker, str]:
    async with asyncio.timeout(90):
        while True:
            for worker in workers:
                if (status := await worker.status()) and status["state"] == "halted":
                    return worker, status["reason"] + status.get("hint", "")
            await asyncio.sleep(0.2)
