"""The source `generate`: messages made of a template, at a steady rate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import Claims, Config, Context, Message, Partition, Position, Source
from stockifyd_basic.template import Template

TURN_SECS = 0.5
PART_MESSAGES = 1_000

Whole = Annotated[int, Meta(ge=0)]


class GenerateOptions(Config, frozen=True):
    """What is made, how much of it and how fast."""

    template: Annotated[
        dict[str, Any],
        Meta(
            description="A message as JSON. In its texts stand `{n}`, the message's number from 0; `{now}`, its time; `{random}`,"
            " a number from 0 to 1; `{random:1:6}`, one from 1 to 6, whole if both are. A text of nothing else becomes a number.",
            examples=[{"number": "{n}", "at": "{now}", "price": "{random:99.5:100.5}"}],
        ),
    ]
    count: Annotated[Whole | None, Meta(description="Messages until it ends; default: it never does.")] = None
    rate_per_sec: Annotated[float, Meta(gt=0, description="Messages in a second; also how far apart their times are.")] = 1.0
    start_at: Annotated[
        datetime, Meta(tz=True, description="The time of the first message: `{now}` is no clock, but counted from here.")
    ] = datetime(2026, 1, 1, tzinfo=UTC)
    seed: Annotated[Whole, Meta(description="Another one gives other random numbers.")] = 0

    def __post_init__(self) -> None:
        """Refuse a template with a placeholder that is none."""
        try:
            Template.of(self.template)
        except ValueError as error:
            raise ValueError(f"template: {error}") from error


class Generate(Source[GenerateOptions]):
    """Makes messages of a template, so many in a second. The same number gives the same message, whenever it is made.

    Each instance makes a series of its own, in a partition of its own.
    """

    type = "generate"

    def __init__(self, config: GenerateOptions, context: Context) -> None:
        super().__init__(config, context)
        self._template = Template.of(config.template)
        self._partition = Partition("generate", context.instance_id - 1)
        self._next = 0
        self._paused = False
        self._resumed = asyncio.Event()

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        """Messages when they are due. What was due while a sink held it up comes at once, but no more than of a second."""
        self._next = (await claims.take({self._partition: 0}))[self._partition]
        rate, count = self.config.rate_per_sec, self.config.count
        began = monotonic() - self._next / rate
        while count is None or self._next < count:
            began = max(began, monotonic() - self._next / rate - 1)
            due = int((monotonic() - began) * rate) + 1
            end = min(due, self._next + PART_MESSAGES, due if count is None else count)
            if self._paused or end <= self._next:
                await self._rest(self._next / rate - (monotonic() - began))
                yield []
            else:
                first, self._next = self._next, end
                yield [self._message(number) for number in range(first, end)]

    def lag(self) -> Mapping[Partition, int]:
        """Those still to come, where that is known."""
        return {} if self.config.count is None else {self._partition: max(0, self.config.count - self._next)}

    def pause(self) -> None:
        """Make nothing."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._resumed.set()

    def _message(self, number: int) -> Message:
        at = self.config.start_at + timedelta(seconds=number / self.config.rate_per_sec)
        seed = (self.config.seed << 96) | (self._partition.number << 64) | number
        raw = self._template.filled(number, at, seed)
        return Message(Position(self._partition, number), raw, timestamp_ms=int(at.timestamp() * 1000))

    async def _rest(self, secs: float) -> None:
        self._resumed.clear()
        wait = TURN_SECS if self._paused else min(max(secs, 0.0), TURN_SECS)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._resumed.wait()
