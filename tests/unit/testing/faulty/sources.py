"""Sources with one fault each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from stockifyd.api import Claims, Message, Partition, StockifydError, Unavailable
from stockifyd.testing import MemorySource, MemoryTopic
from stockifyd.testing.memory_source import MemorySourceOptions
from unit.testing.catching import Faults


class StartsOver(MemorySource):
    """Asks, and does not listen."""

    async def _begin(self, claims: Claims, partition: Partition, offset: int) -> int:
        return 0


class NeverAsks(MemorySource):
    """Reads without a claim."""

    async def _rebalance(self, claims: Claims, topic: MemoryTopic) -> None:
        self.at = self.at or dict.fromkeys(topic.partitions, 0)


class AsksOnce(MemorySource):
    """Goes on where it was when it is told to read anew."""

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        at = self.at
        async for part in super().read(claims):
            if at:
                self.at, at = at, {}
                continue
            yield part


class NeverPauses(MemorySource):
    """Fetches on."""

    def pause(self) -> None:
        pass


class IsBehind(MemorySource):
    """Says that it stands where it began."""

    def positions(self) -> Mapping[Partition, int]:
        return dict.fromkeys(self.at, 0)


class Shuffles(MemorySource):
    """Yields backwards."""

    def _next(self, topic: MemoryTopic) -> list[Message]:
        return super()._next(topic)[::-1]


class LosesTheFirst(MemorySource):
    """Loses what it reads first."""

    def _next(self, topic: MemoryTopic) -> list[Message]:
        return super()._next(topic)[1:]


class Forgets(MemorySource):
    """Gives what was read once to nobody else."""

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        async for part in super().read(claims):
            for log in self.topic.logs.values():
                log.messages = [message for message in log.messages if message not in part]
            yield part


class NeverEnds(MemorySource):
    """Waits for more where there is no more to come."""

    def _finished(self, topic: MemoryTopic) -> bool:
        return False


class SaysNothing(MemorySource):
    """Waits for the next message without a word."""

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        async for part in super().read(claims):
            if part:
                yield part


class CommitsBadly(MemorySource):
    """Cannot take a checkpoint."""

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        raise KeyError(offsets)


class IsNobody(MemorySource):
    """Does not know who reads."""

    @property
    def consumer(self) -> str:
        return ""


class RaisesAnything(MemorySource):
    """Lets an error of its driver out."""

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        try:
            async for part in super().read(claims):
                yield part
        except Unavailable as error:
            raise OSError("reset by peer") from error


class GivesUp(MemorySource):
    """Ends as if all had been read when something breaks, and for good."""

    gave_up = False

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        with suppress(StockifydError):
            if not self.gave_up:
                async for part in super().read(claims):
                    yield part
                return
        self.gave_up = True


class Strips(MemorySource):
    """Tidies what it reads."""

    def _next(self, topic: MemoryTopic) -> list[Message]:
        return [Message(message.position, message.raw.strip()) for message in super()._next(topic)]


class CountsAll(MemorySource):
    """Takes all there is for what is left."""

    def lag(self) -> Mapping[Partition, int]:
        return {partition: self.topic.logs[partition].end for partition in self.at}


class ReadsAhead(MemorySource):
    """Reads on while nobody takes, and drops the oldest."""

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        kept = deque[Message](maxlen=20)

        async def fill() -> None:
            async for part in super(ReadsAhead, self).read(claims):
                kept.extend(part)
                await asyncio.sleep(0)

        filling = asyncio.ensure_future(fill())
        while not filling.done() or kept:
            await asyncio.sleep(0)
            yield [kept.popleft()] if kept else []


class Locks(MemorySource):
    """Takes a lock that only an orderly end gives back."""

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        if vars(self.topic).get("locked"):
            return
        vars(self.topic)["locked"] = True
        async for part in super().read(claims):
            await asyncio.sleep(0)
            yield part
        vars(self.topic)["locked"] = False


class WillNotStop(MemorySource):
    """Takes being cancelled for one more thing that passes."""

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        for _ in range(8):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.2)
        async for part in super().read(claims):
            yield part


class KeepsWhatIsGone(MemorySource):
    """Reads on in partitions that another has."""

    async def _rebalance(self, claims: Claims, topic: MemoryTopic) -> None:
        if not self.at or topic.of(self.context.instance_id):
            await super()._rebalance(claims, topic)
        else:
            await claims.release(sorted(self.at))


class ReplaysAsItself(MemorySource):
    """Reads an interval by the same name as everything."""

    @classmethod
    def between(cls, config: MemorySourceOptions, start: datetime, end: datetime, consumer: str) -> MemorySourceOptions:
        return config


BOUNDED: Faults = [
    (ReplaysAsItself, "an_interval_is_read_by_another"),
    (StartsOver, "resumes_at_the_claimed_offset one_goes_on_where_another_stopped"),
    (NeverAsks, "claims_before_it_reads everything_in_order"),
    (AsksOnce, "rewinds"),
    (NeverPauses, "yields_while_paused"),
    (IsBehind, "everything_in_order"),
    (Shuffles, "everything_in_order"),
    (LosesTheFirst, "everything_in_order"),
    (Forgets, "the_same_messages_again"),
    (NeverEnds, "a_bounded_source_returns"),
    (CommitsBadly, "commit_is_taken"),
    (IsNobody, "somebody_reads"),
    (RaisesAnything, "a_far_side_that_breaks a_far_side_that_breaks_while_reading"),
    (GivesUp, "a_far_side_that_breaks_while_reading"),
    (Strips, "bytes_as_they_came"),
    (CountsAll, "lag_is_what_is_left"),
    (ReadsAhead, "a_slow_reader"),
    (Locks, "cancelled_while_reading killed_while_reading"),
    (WillNotStop, "cancelled_while_reading"),
]
ENDLESS: Faults = [
    (SaysNothing, "an_endless_source_says_that_there_is_nothing yields_in_time"),
    (KeepsWhatIsGone, "partitions_that_go_and_come_back"),
]
