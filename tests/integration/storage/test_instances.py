"""Instances of storage: how they share partitions, what they log, and that a restart doubles nothing."""

from __future__ import annotations

import re

from kit.bed import scene
from kit.fixtures_bed import MakeBed

CLOCK = r"\d\d:\d\d:\d\d storage  "


async def test_two_instances_share_sixty_partitions(make_bed: MakeBed) -> None:
    """Thirty each, in one range each, as the log of both tells an operator."""
    async with scene(make_bed(partitions=60)) as on:
        workers = [on.bed.worker(1, 2), on.bed.worker(2, 2)]
        await on.feed.send(600)
        for worker in workers:
            await worker.until_owning(30)
        await on.judge()
        told = {_said(worker.last_log, r"✓ Assigned partitions: (\[.*\])")[-1] for worker in workers}
        assert {"[0, 1, 2, ..., 29]", "[30, 31, 32, ..., 59]"} == told


async def test_log_is_what_an_operator_knows(make_bed: MakeBed) -> None:
    """The lines of a healthy start and of work, in their order."""
    async with scene(make_bed(partitions=30)) as on:
        await on.feed.send(100)
        worker = on.bed.worker(1, 2)
        await on.judge()
        assert 0 == await worker.stop()
    expected = [
        r"Storage instance 1/2 starting",
        r"✓ Database connected: primary through 127\.0\.0\.1:\d+ \(transaction pooling\)",
        r"✓ Kafka consumer started with group '" + re.escape(on.bed.group) + "'",
        r"✓ Assigned partitions: \[0, 1, 2, \.\.\., 29\]",
        r"Stored \d+ messages, last: NIFTY \((20|500) options\) in \d+\.\d{3}s",
        r"Storage stopped",
    ]
    lines = [line for line in worker.log.splitlines() if re.match(CLOCK, line)]
    firsts = [next((n for n, line in enumerate(lines) if re.fullmatch(CLOCK + text, line)), None) for text in expected]
    assert None not in firsts, f"{firsts} in:\n{worker.log}"
    assert sorted(n for n in firsts if n is not None) == firsts
    assert 100 == sum(int(count) for count in _said(worker.log, r"Stored (\d+) messages"))


async def test_stop_and_start_doubles_nothing(make_bed: MakeBed) -> None:
    """The second life goes on where the first ended, and writes no row again."""
    async with scene(make_bed()) as on:
        worker = on.bed.worker()
        await on.feed.send(200)
        await on.bed.stored(on.feed)
        assert 0 == await worker.stop()
        worker.start()
        await worker.until_owning(on.bed.partitions)
        await on.feed.send(50)
        await on.judge()
        status = await worker.status()
        assert status is not None
        assert 50 == status["messages_delivered"]


def _said(log: str, pattern: str) -> list[str]:
    return re.findall(pattern, log)
