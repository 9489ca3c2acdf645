"""A record that was damaged on the broker's disk."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kit.kafka_topics import produce
from stockifyd.api import Drift


def damage(folder: Path, topic: str, partition: int, text: bytes) -> None:
    """Change one byte of a value in the partition's log."""
    log = folder / "data" / f"{topic}-{partition}" / "00000000000000000000.log"
    data = log.read_bytes()
    at = data.index(text)
    with log.open("r+b") as file:
        file.seek(at)
        file.write(bytes([data[at] ^ 1]))


async def test_a_corrupt_record_halts_and_the_others_lose_nothing(bench: Any) -> None:
    """Its checksum is wrong: read again, then Drift with the place; what was stored of others is whole and once."""
    await bench.topic_with(3)
    for partition in range(3):
        await produce(bench.direct, bench.topic, [b"%d-%d" % (partition, n) for n in range(10)], partition=partition)
    await produce(bench.direct, bench.topic, [b"1-damaged"], partition=1)
    await asyncio.to_thread(damage, bench.kafka.folder, bench.topic, 1, b"1-damaged")
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        with pytest.raises(Drift, match=f"CorruptRecord.*{bench.topic}/1 from"):
            await task
    stored = ledger.stored(bench.topic)
    assert all(offsets == list(range(len(offsets))) for offsets in stored.values())
    assert all(at <= 10 for (_, number), at in ledger.offsets().items() if number == 1)
