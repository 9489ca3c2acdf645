"""Fault 28: messages that are huge as they come, huge once unpacked, or of very many rows."""

from __future__ import annotations

from typing import Any

from faults.conftest import Sight, long_form
from kit.bed import Scene, scene
from kit.feed import DEAD, Content
from kit.fixtures_bed import MakeBed
from kit.kafka_topics import produce, producer

MIB = 2**20
HUGE = 50 * MIB
ROOM = {"max_message_bytes": str(64 * MIB)}
BOMBS = 40
BOMB = 32 * MIB
PEAK_MIB = 450
"""All that comes are 200 MiB; one message of 50 is there several times while it is unpacked, read and written."""


@long_form
async def test_huge_messages_are_stored_or_dead_letters(make_bed: MakeBed, sight: Sight) -> None:
    """Each is rows if it is a chain and a dead letter if it is none; the good ones around it are stored."""
    async with scene(make_bed(partitions=2, topic_options=ROOM)) as on:
        worker = on.bed.worker()
        await worker.until_owning(on.bed.partitions)
        for packed in (None, "gzip"):
            await on.feed.send(60)
            value, content = on.feed.chain(0)
            await _send(on, value.ljust(HUGE), content, compression_type=packed)
            await _send(on, b"[".ljust(HUGE), DEAD, compression_type=packed)
            await _send(on, *on.feed.chain(0, options=10_000), compression_type=packed)
        await on.feed.send(60)
        await on.judge()
        assert 2 == len((await on.bed.books.everything()).letters)
        sight.note(messages=on.feed.sent, peak_mib=worker.peak_mib)
        assert worker.peak_mib < PEAK_MIB


@long_form
async def test_many_bombs_are_not_unpacked_at_once(make_bed: MakeBed, sight: Sight) -> None:
    """Of small batches that are huge once unpacked, only some are in memory at a time; small messages around them flow on."""
    async with scene(make_bed(partitions=2, topic_options=ROOM)) as on:
        await on.feed.send(400)
        await on.feed.settle()
        async with producer(on.bed.kafka.direct, max_request_size=64 * MIB, compression_type="gzip") as client:
            for _ in range(BOMBS):
                value, content = on.feed.chain(0)
                partition, _ = on.feed.plan(0, content)
                await client.send_and_wait(on.bed.topic, value.ljust(BOMB), partition=partition)
        await on.feed.send(400)
        worker = on.bed.worker()
        await on.judge()
        sight.note(unpacked_mib=BOMBS * BOMB // MIB, messages=on.feed.sent, peak_mib=worker.peak_mib)
        assert worker.peak_mib < BOMBS * BOMB // MIB // 2


async def _send(on: Scene, value: bytes, content: Content, **options: Any) -> None:
    """A message by a producer that lets it pass."""
    await on.feed.settle()
    partition, offset = on.feed.plan(0, content)
    options = {"max_request_size": 64 * MIB, **options}
    assert [offset] == await produce(on.bed.kafka.direct, on.bed.topic, [value], partition=partition, **options)
