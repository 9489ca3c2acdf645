"""A breaker is open only while somebody waits for what is away."""

from __future__ import annotations

import asyncio
import logging

import pytest

from stockifyd.api import Fenced, Unavailable
from stockifyd.runtime.attempts import Attempts
from stockifyd.runtime.breaker import Breaker
from unit.runtime.pipelines import FAST, until

LOG = logging.getLogger("stockifyd.attempts")


def attempts() -> tuple[Attempts, Breaker]:
    """A caller and its breaker, closed."""
    breaker = Breaker(LOG, lambda: None)
    return Attempts(breaker, FAST, LOG), breaker


async def test_refusal_after_a_wait_closes_the_breaker() -> None:
    """Fenced is an answer: who gives it is back."""
    caller, breaker = attempts()
    answers = [Unavailable("away"), Fenced("another's")]

    async def call() -> None:
        raise answers.pop(0)

    with pytest.raises(Fenced):
        await caller.until_done("it", call)
    assert [] == answers
    assert not breaker.is_open


async def test_wait_that_is_cancelled_closes_the_breaker() -> None:
    """What nobody waits for any more keeps nothing paused."""
    caller, breaker = attempts()

    async def call() -> None:
        raise Unavailable("away")

    task = asyncio.create_task(caller.until_done("it", call))
    await until(lambda: breaker.is_open)
    task.cancel()
    await asyncio.wait({task})
    assert not breaker.is_open
