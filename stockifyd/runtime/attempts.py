"""Calls a component until it answers: what the error classes of the API mean, in one place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stockifyd.api import Drift, Retry, StockifydError, Unavailable
from stockifyd.runtime.breaker import Breaker
from stockifyd.runtime.timing import Backoff, Timing

T = TypeVar("T")


class Attempts:
    """Retry is capped and then waits like Unavailable, which waits for ever; a bug gets three tries; the rest is raised."""

    def __init__(self, breaker: Breaker, timing: Timing, log: logging.Logger) -> None:
        self._breaker = breaker
        self._timing = timing
        self._log = log

    @property
    def is_waiting(self) -> bool:
        """Whether something that was tried is away."""
        return self._breaker.is_open

    async def until_done(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of `call`; raises Reject, Drift or Fenced as the component did, and Drift for a bug."""
        try:
            return await self._answered(name, call)
        except StockifydError:
            self._breaker.mended(name)  # a refusal is an answer too
            raise
        except BaseException:
            self._breaker.abandoned(name)  # cancelled: it would stay open, and the source paused, for ever
            raise

    async def _answered(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        backoff, retries, bugs = Backoff.of(self._timing), 0, 0
        while True:
            try:
                with self._breaker.watching(name):
                    answer = await call()
            except Unavailable as error:
                self._breaker.broken(name, error)
            except Retry as error:
                retries += 1
                self._log.info("%s: trying again: %s", name, error.reason)
                if retries > self._timing.retries:
                    self._breaker.broken(name, error)
            except StockifydError:
                raise
            except Exception as error:
                bugs += 1
                self._log.exception("%s failed, try %d of %d", name, bugs, self._timing.bug_tries)
                if bugs >= self._timing.bug_tries:
                    raise bug(name, error) from error
            else:
                self._breaker.mended(name)
                return answer
            await asyncio.sleep(backoff.next())


def bug(name: str, error: Exception) -> Drift:
    """What an operator is told of an exception that is none of the five."""
    return Drift(
        f"{name} raised {type(error).__name__}, again and again",
        hint="this is a bug in the component; its traceback is in the log. Nothing was lost: the offset did not move",
    )
