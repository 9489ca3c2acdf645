"""Where a pipeline is in its life, and what may disturb it: a stop, an operator who resumes, a wish for other components."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from stockifyd.api import StockifydError, Unavailable
from stockifyd.runtime.blueprint import Blueprint
from stockifyd.runtime.breaker import Breaker, hint_of
from stockifyd.runtime.change import Change
from stockifyd.runtime.state import State
from stockifyd.runtime.tasks import cancelled


@dataclass(slots=True)
class Wish:
    """Other components that somebody waits for. `change` where they are opened already, beside those that run."""

    blueprint: Blueprint
    change: Change | None = None
    granted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def grant(self) -> None:
        """Say that they are in their place."""
        if not self.granted.done():
            self.granted.set_result(None)

    def refuse(self, error: BaseException) -> None:
        """Say why they are not."""
        if not self.granted.done():
            self.granted.set_exception(error)


class Life:
    """The state of one pipeline."""

    def __init__(self, name: str, breaker: Breaker, log: logging.Logger) -> None:
        self.stage = State.STARTING
        """Without what is only seen from outside: waiting and paused."""
        self.trouble: StockifydError | None = None
        self.wish: Wish | None = None
        self.is_stopping = self.is_paused = False
        self._name, self._breaker, self._log = name, breaker, log
        self._attention = asyncio.Event()
        self._resumed = asyncio.Event()

    @property
    def state(self) -> State:
        """The state an operator sees: `running` is `waiting` while a breaker is open, and `paused` if he wished so."""
        if self.stage in (State.RUNNING, State.STARTING) and self._breaker.is_open:
            return State.WAITING
        return State.PAUSED if self.stage is State.RUNNING and self.is_paused else self.stage

    @property
    def is_well(self) -> bool:
        """Whether it reads and writes, or would if an operator let it."""
        return self.stage is State.RUNNING and not self._breaker.is_open

    @property
    def has_ended(self) -> bool:
        return self.stage in (State.DRAINING, State.FINISHED, State.FAILED)

    def stop(self) -> None:
        """Whatever is waited for is not waited for any more."""
        self.is_stopping = True
        self._attention.set()

    def resume(self) -> None:
        """An operator has mended what it was."""
        self._resumed.set()

    def wish_for(self, wish: Wish) -> None:
        """The later of two wishes is granted."""
        if self.has_ended:
            raise Unavailable(f"the pipeline is {self.stage}")
        if self.wish is not None:
            self.wish.refuse(Unavailable("another reload came before this one was done"))
        self.wish = wish
        self._attention.set()

    def take_wish(self) -> Wish | None:
        """What is wished for, if anything is; it is somebody's to grant now."""
        wish, self.wish = self.wish, None
        self._attention.clear()
        return wish

    def begin_again(self) -> None:
        """Neither halted nor waiting: what comes is judged anew."""
        self.trouble, self.stage = None, State.STARTING
        self._breaker.forget()

    async def unless_disturbed(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do work to its end, unless `stop` or a wish comes: then it is cancelled. Raises what it raises."""
        task = asyncio.create_task(work)
        attention = asyncio.create_task(self._attention.wait())
        await asyncio.wait({task, attention}, return_when=asyncio.FIRST_COMPLETED)
        await cancelled(attention)
        if not task.done():
            await cancelled(task)
            return False
        task.result()
        return True

    async def halt(self, error: StockifydError) -> None:
        """Say why, and wait for `resume`."""
        before, self.stage, self.trouble = self.stage, State.HALTED, error
        self._breaker.forget()
        self._resumed.clear()
        self._log.error(
            "halted: %s%s\n  Nothing is lost. Once it is mended, `stockifyd resume %s` or SIGHUP resumes.",
            error.reason, hint_of(error), self._name,
        )  # fmt: skip
        await self._resumed.wait()
        self._log.warning("resumed by the operator")
        self.stage, self.trouble = before, None

    def end(self) -> None:
        """It is over: nothing is granted any more."""
        if self.stage is not State.FAILED:
            self.stage = State.FINISHED
        if (wish := self.take_wish()) is not None:
            wish.refuse(Unavailable(f"the pipeline is {self.stage}"))
