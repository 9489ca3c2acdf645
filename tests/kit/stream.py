"""Messages that were made beforehand, produced to one topic at a rate; and what a topic holds of them after Kafka to Kafka."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from zlib import crc32

from aiokafka import ConsumerRecord

from kit.kafka_topics import producer
from stockifyd_optionchain.simulator import Produced

Place = tuple[int, int]
"""Partition and offset."""


class Copy(NamedTuple):
    """A record that was made of the message at `origin`."""

    origin: Place
    place: Place
    value: bytes


class Stream:
    """The only producer of its topic: where a message goes is known when it is sent. A key stays in one partition."""

    def __init__(self, bootstrap: str, topic: str, partitions: int, messages: Iterable[Produced]) -> None:
        self.topic, self.partitions = topic, partitions
        self.sent: dict[Place, Produced] = {}
        self._bootstrap = bootstrap
        self._left: Iterator[Produced] = iter(messages)
        self._next: defaultdict[int, int] = defaultdict(int)

    @property
    def ends(self) -> Mapping[int, int]:
        """The next offset of each partition that has a message."""
        return dict(self._next)

    @asynccontextmanager
    async def flowing(self, rate: float) -> AsyncIterator[None]:
        """Produce so many messages a second for as long as this lasts, or until there are no more."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._flow(rate, stop))
        try:
            yield
        finally:
            stop.set()
            await task

    async def _flow(self, rate: float, stop: asyncio.Event) -> None:
        began, waiting = time.monotonic(), list[tuple[Place, asyncio.Future[Any]]]()
        async with producer(self._bootstrap, enable_idempotence=True) as client:
            while not stop.is_set():
                for _ in range(int((time.monotonic() - began) * rate) - len(waiting)):
                    if (one := next(self._left, None)) is None:
                        break
                    place = self._place(one)
                    sending = client.send(self.topic, one.value, key=one.key, partition=place[0], timestamp_ms=one.timestamp_ms)
                    waiting.append((place, await sending))
                await asyncio.sleep(0.02)
            for (partition, offset), answer in waiting:
                assert (await answer).offset == offset, f"{self.topic}/{partition}: planned at {offset}"

    def _place(self, one: Produced) -> Place:
        partition = crc32(one.key) % self.partitions
        place = partition, self._next[partition]
        self._next[partition] += 1
        self.sent[place] = one
        return place


def copies(records: Iterable[ConsumerRecord]) -> list[Copy]:
    """What the headers of records say of their origin, in the order of the topic."""
    found = []
    for record in records:
        about = dict(record.headers)
        origin = int(about["stockifyd-partition"]), int(about["stockifyd-offset"])
        found.append(Copy(origin, (record.partition, record.offset), record.value))
    return found


def unlike(made: Iterable[Copy], wanted: Iterable[Place]) -> list[str]:
    """What is wrong with the copies of those messages: each is there, in its partition, first copies in order, all the same."""
    first: dict[Place, Copy] = {}
    found = list[str]()
    last: defaultdict[int, int] = defaultdict(lambda: -1)
    for one in made:
        (partition, offset), known = one.origin, first.get(one.origin)
        if one.place[0] != partition:
            found.append(f"{one.origin} went to partition {one.place[0]}")
        if known is not None and known.value != one.value:
            found.append(f"{one.origin} is at {known.place} and at {one.place}, and not the same")
        if known is None and offset < last[partition]:
            found.append(f"{one.origin} is behind {last[partition]}, and was not there before it")
        if known is None:
            first[one.origin], last[partition] = one, max(offset, last[partition])
    expected = set(wanted)
    found += [f"{origin} is missing" for origin in sorted(expected - first.keys())]
    return found + [f"{origin} should not be there" for origin in sorted(first.keys() - expected)]
