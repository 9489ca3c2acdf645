"""Runs a case: its messages through the transforms of its spec, one stage at a time, up to what each sink would get."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from stockifyd.api import Batch, Message, Span, StockifydError, Transform
from stockifyd.api.components import utc_now
from stockifyd.cases.inputs import PARTITION
from stockifyd.cases.outside import Outside, prepare
from stockifyd.cases.recording import Taken, record
from stockifyd.runtime.attempts import Attempts
from stockifyd.runtime.breaker import Breaker
from stockifyd.runtime.shared import Shared
from stockifyd.runtime.timing import Timing
from stockifyd.runtime.transforming import Transforms
from stockifyd.spec import Delivery, Spec
from stockifyd.spec.build import build_sinks, build_transforms

LIMIT_SECS = 60.0
"""What takes longer hangs; this is no measure of speed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Raised:
    """An error of a transform: its class, its reason, and where a bug is."""

    stage: str
    type: str
    reason: str
    hint: str = ""


@dataclass(slots=True)
class Trace:
    """What a case left: the batch behind each transform that was reached, what sinks got, and the error that ended it."""

    after: dict[str, Batch] = field(default_factory=dict)
    sinks: Mapping[str, Taken] = field(default_factory=dict)
    end: Batch | None = None
    raised: Raised | None = None


class _Once(Attempts):
    """A test waits for nothing: what fails has failed."""

    async def until_done(self, name: str, call: Callable[[], Awaitable[T]]) -> T:  # noqa: ARG002  as the runtime's
        return await call()


async def run(spec: Spec, messages: Sequence[Message], *, clock: datetime | None, outside: Outside) -> Trace:
    """The trace of these messages in one batch. Components are told that it is `clock`; by default what time it is.

    Transforms that would ask somebody outside are told what there is.
    """
    transforms = build_transforms(spec, consumer=spec.name, now=_pinned(clock) if clock else utc_now)
    advance = {PARTITION: Span(0, len(messages))} if messages else {}
    trace = Trace()
    batch = await _transformed(transforms, Batch(tuple(messages), advance=advance), outside, trace=trace)
    if trace.raised is None:
        trace.end = batch
        sinks = build_sinks(spec, transforms=transforms, consumer=spec.name)
        trace.sinks = {sink.context.name: record(sink, batch) for sink in sinks}
    return trace


def _pinned(clock: datetime) -> Callable[[], datetime]:
    """A clock that stands still, in UTC as the real one."""
    return lambda: clock.astimezone(UTC)


async def _transformed(transforms: Sequence[Transform[Any]], batch: Batch, outside: Outside, *, trace: Trace) -> Batch:
    stage = ""
    try:
        async with asyncio.timeout(LIMIT_SECS), AsyncExitStack() as stack:
            for transform in transforms:
                stage = transform.context.name
                stack.push_async_callback(transform.close)
                await prepare(transform, outside)
            for transform in transforms:
                stage = transform.context.name
                batch = await Transforms([transform], _shared(transform.context.log)).apply(batch)
                trace.after[stage] = batch
    except StockifydError as error:
        trace.raised = Raised(stage, type(error).__name__, error.reason, error.hint)
    except TimeoutError as error:
        trace.raised = Raised(stage, "TimeoutError", str(error) or f"no answer for {LIMIT_SECS:g} s")
    except Exception as error:  # noqa: BLE001  the author's code
        frame = traceback.extract_tb(error.__traceback__)[-1]
        trace.raised = Raised(stage, type(error).__name__, str(error), f"see {frame.filename}:{frame.lineno}")
    return batch


def _shared(log: logging.Logger) -> Shared:
    """A stand-in for the pipeline that the transforms would be part of."""
    timing = Timing()
    breaker = Breaker(log, lambda: None)
    shared = Shared(Delivery(), timing, log, breaker, delivered=lambda _batch, _secs: None)
    shared.attempts = _Once(breaker, timing, log)
    return shared
