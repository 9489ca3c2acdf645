"""The source `postgres`, as specs and the runtime know it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from stockifyd.api import Claims, Context, Message, Partition, Source
from stockifyd_postgres.checkpoint_file import CheckpointFile
from stockifyd_postgres.positions import Day, days
from stockifyd_postgres.source_options import PostgresSourceOptions

if TYPE_CHECKING:  # imported when the source works: `stockifyd validate` imports this module, and twenty more take their time
    from stockifyd_postgres.places import Places
    from stockifyd_postgres.question import Question
    from stockifyd_postgres.scrolling import DayReading


class PostgresSource(Source[PostgresSourceOptions]):
    """Reads a table's rows between two times, in the order of time, and ends when all are read.

    The rows of one time, and of one group where the options name some, are a message. Each UTC day is a partition. Several
    instances share the days.
    """

    type = "postgres"

    def __init__(self, config: PostgresSourceOptions, context: Context) -> None:
        super().__init__(config, context)
        self._question: Question | None = None
        self._reading: DayReading | None = None
        self._is_paused = False
        self._behind: Mapping[Partition, int] = {}

    @classmethod
    def between(cls, config: PostgresSourceOptions, start: datetime, end: datetime, consumer: str) -> PostgresSourceOptions:
        """With a checkpoint of its own."""
        checkpoint = config.checkpoint and f"{config.checkpoint}.{consumer}"
        return msgspec.structs.replace(config, start=start, end=end, consumer=consumer, checkpoint=checkpoint)

    @property
    def consumer(self) -> str:
        """As the options say, else the pipeline's name."""
        return self.config.consumer or self.context.pipeline

    @cached_property
    def places(self) -> Places:
        """The servers that may be read."""
        from stockifyd_postgres.places import Places  # noqa: PLC0415  see above

        return Places(self.config, self.context.log, application=f"stockifyd {self.context.pipeline}")

    @cached_property
    def _checkpoint(self) -> CheckpointFile | None:
        if self.config.checkpoint is None:
            return None
        total = self.context.total_instances
        suffix = f".{self.context.instance_id}-of-{total}" if total > 1 else ""
        return CheckpointFile(Path(self.config.checkpoint + suffix), self.config.question)

    async def open(self) -> None:
        """Connect, and look at the table. Unavailable where no server answers or the replica is behind; Drift for the rest."""
        if self._checkpoint is not None:
            await asyncio.to_thread(self._checkpoint.read)
        self._question = await self.places.open()

    async def close(self) -> None:
        """Close the connection."""
        await self.places.close()

    async def probe(self) -> Sequence[str]:
        """What is wrong with the servers that may be read."""
        return await self.places.findings()

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        """A day's messages after another's. What passes is ridden out with empty lists; Drift for an operator."""
        ours = self._days()
        named = {day: self._partition(day) for day in ours}
        committed = await asyncio.to_thread(self._checkpoint.read) if self._checkpoint else {}
        known = {named[day]: committed[day.number] for day in ours if day.number in committed}
        starts = await claims.take(dict.fromkeys(named.values(), 0), known) if ours else {}
        for day in ours:
            partition, end = named[day], day.offset(day.end)
            if starts[partition] < end:
                async with aclosing(self._read_day(day, claims, starts[partition])) as turns:
                    async for messages in turns:
                        yield messages
                self._behind = {partition: end}
                yield []
                self._behind = {}

    def positions(self) -> Mapping[Partition, int]:
        """The end of a day, when all of it was handed out."""
        return self._behind

    def pause(self) -> None:
        """Read nothing."""
        self._is_paused = True
        if self._reading is not None:
            self._reading.is_paused = True

    def resume(self) -> None:
        """Read again."""
        self._is_paused = False
        if self._reading is not None:
            self._reading.is_paused = False

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Write the checkpoint down, where a file is named. Unavailable where the disk refuses."""
        if self._checkpoint is not None:
            await asyncio.to_thread(self._checkpoint.write, {partition.number: offset for partition, offset in offsets.items()})

    async def _read_day(self, day: Day, claims: Claims, start: int) -> AsyncGenerator[list[Message], None]:
        from stockifyd_postgres.cutting import Cutter  # noqa: PLC0415  see above
        from stockifyd_postgres.scrolling import DayReading  # noqa: PLC0415

        question = self._question or await self.places.open()
        cutter = Cutter(self.config, question, day, self._partition(day))
        self._reading = reading = DayReading(self.places, cutter, start, log=self.context.log)
        reading.is_paused = self._is_paused
        recognised = not start
        try:
            async with aclosing(reading.messages()) as turns:
                async for messages in turns:
                    if messages and not recognised:
                        recognised = True
                        await claims.recognise([reading.before] if reading.before else [])
                    yield messages
        finally:
            self._reading = None

    def _partition(self, day: Day) -> Partition:
        # Positions are of a question: under other options a ledger must not take them for the same messages.
        return Partition(".".join(self.config.target), day.number, self.config.question)

    def _days(self) -> list[Day]:
        """Those of this instance."""
        total, ours = self.context.total_instances, self.context.instance_id - 1
        return [day for day in days(self.config.start, self.config.end) if day.date.toordinal() % total == ours]
