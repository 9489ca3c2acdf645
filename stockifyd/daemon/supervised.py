"""One pipeline under supervision: started again when it fails, reloaded, and taken back when a new spec proves wrong."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from stockifyd.api import StockifydError, Unavailable
from stockifyd.daemon.leftovers import Leftovers
from stockifyd.runtime.blueprint import blueprint_of
from stockifyd.runtime.pipeline import Pipeline
from stockifyd.runtime.state import State
from stockifyd.runtime.tasks import GaveUpError, cancelled
from stockifyd.runtime.timing import Backoff
from stockifyd.spec.diff import difference
from stockifyd.spec.model import Instance, Spec

Outcome = Literal["unchanged", "started", "applied", "restarted", "stopped", "refused", "rolled_back"]
CHECK_SECS = 0.1


class Reloaded(msgspec.Struct, frozen=True):
    """What became of a reload of one pipeline. `reason` is why it was refused or taken back."""

    pipeline: str
    outcome: Outcome
    changed: str = ""
    reason: str = ""
    hint: str = ""
    at: str = ""

    @property
    def is_refused(self) -> bool:
        return self.outcome in ("refused", "rolled_back")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a pipeline that fails is started again, and after which pauses."""

    failures: int = 5
    within_secs: float = 600.0
    first_secs: float = 1.0
    cap_secs: float = 60.0


class Supervised:
    """`run` returns when the pipeline has finished, was stopped, or has failed too often."""

    def __init__(
        self,
        spec: Spec,
        instance: Instance,
        *,
        confirmed: Callable[[Spec], None] = lambda _: None,
        start: Callable[[Spec], Pipeline] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.spec = spec
        self.restarts = 0
        self.failure = ""
        """Why it is not running; stays where it has failed for good."""
        self.last: Reloaded | None = None
        self.reloads: dict[str, int] = {}
        self._instance = instance
        self._confirmed = confirmed
        self._start = start or (lambda wanted: Pipeline(blueprint_of(wanted, instance)))
        self._patience = patience or Patience()
        self._failures: deque[float] = deque(maxlen=self._patience.failures)
        self._next: Spec | None = None
        self._refused: tuple[Spec, str] | None = None
        """What is refused and why, until something else becomes of a reload: who asks for the same again is answered."""
        self._is_stopping = self._is_alive = False
        self._moved, self._renewed = asyncio.Event(), asyncio.Event()
        self._confirming: asyncio.Task[None] | None = None
        self.pipeline = self._start(spec)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def state(self) -> State:
        """As the pipeline has it; one that failed and is about to be started again is starting."""
        state = self.pipeline.state
        return State.STARTING if state is State.FAILED and self._is_alive else state

    @property
    def reason(self) -> str:
        """Why it is not simply running; empty if it is."""
        return self.pipeline.reason or self.failure

    def stop(self) -> None:
        """Drain, and return from `run`."""
        self._is_stopping = True
        self._moved.set()
        self.pipeline.stop()

    async def run(self) -> None:
        """Until it has finished, was stopped, or has failed too often."""
        self._is_alive = True
        confirming = asyncio.create_task(self._confirm(None, self.spec))
        try:
            while not await self._run_once():
                self.pipeline = self._start(self.spec)
                self._renewed.set()
        finally:
            self._is_alive = False
            self._renewed.set()
            await cancelled(confirming)
            if self._confirming is not None:
                await cancelled(self._confirming)

    async def _run_once(self) -> bool:
        """One life of the pipeline; True where there shall be no other."""
        pipeline = self.pipeline
        with Leftovers(pipeline.name) as leftovers:
            try:
                await pipeline.run()
            except GaveUpError as error:
                self.failure = str(error)
                pipeline.log.error("failed: %s", error)  # noqa: TRY400 - no bug, so no traceback
            except Exception as error:
                self.failure = f"{type(error).__name__}: {error}"
                pipeline.log.exception("failed: this is a bug in stockifyd; the offsets did not move past what is stored")
            else:
                self.failure = ""
            await leftovers.end(pipeline.log)
        if self._next is not None and not self._is_stopping:
            self.spec, self._next = self._next, None
            return False
        return self._is_stopping or not self.failure or not await self._is_worth_another()

    async def _is_worth_another(self) -> bool:
        """After a pause; not where it failed too often."""
        now = time.monotonic()
        if len(self._failures) == self._failures.maxlen and now - self._failures[0] < self._patience.within_secs:
            self.pipeline.log.error("failed %d times and is not started again: %s", len(self._failures) + 1, self.failure)
            return False
        self._failures.append(now)
        backoff = Backoff(self._patience.first_secs, self._patience.cap_secs, tries=len(self._failures) - 1)
        secs = backoff.next()
        self.restarts += 1
        self.pipeline.log.warning("is started again in %.1f s", secs)
        self._moved.clear()
        try:
            async with asyncio.timeout(secs):
                await self._moved.wait()
        except TimeoutError:
            pass
        return not self._is_stopping

    # Reload.

    async def reload(self, spec: Spec) -> Reloaded:
        """Go on as another spec says. Refused where the new cannot work: then the old one goes on."""
        before, found = self.spec, difference(self.spec, spec)
        if found.effect == "nothing":
            self.spec = spec
            return self._noted("unchanged")
        was_well = self.pipeline.is_well
        try:
            if found.source or self.pipeline.state is State.FAILED:
                await self._restart(spec)
            else:
                await self.pipeline.reload(blueprint_of(spec, self._instance))
        except StockifydError as error:
            is_news = self._refused != (spec, error.reason)
            result = self._noted("refused", changed=str(found), reason=error.reason, hint=error.hint)
            self._refused = (spec, error.reason)
            if is_news:
                self.pipeline.log.error("reload refused, the old spec goes on: %s%s", error.reason, _hint(error))  # noqa: TRY400
            return result
        self.spec = spec
        self.pipeline.log.info("reloaded: %s", found)
        if self._confirming is not None:
            await cancelled(self._confirming)
        self._confirming = asyncio.create_task(self._confirm(before if was_well else None, spec))
        return self._noted("restarted" if found.source else "applied", changed=str(found))

    async def _restart(self, spec: Spec) -> None:
        """Leave, and begin as the new spec says; where all is well only after a look at what the new one needs."""
        blueprint, old = blueprint_of(spec, self._instance), self.pipeline
        if old.is_well:
            await old.try_out(blueprint)
            if findings := await blueprint.source().probe():
                raise Unavailable(findings[0])
        self._next = spec
        self._moved.set()
        if self._is_alive:
            old.stop()
            self._renewed.clear()
            await self._renewed.wait()  # `run` makes the new one when the old has drained
        else:
            self.spec, self._next, self.pipeline = spec, None, self._start(spec)
            self._failures.clear()

    async def _confirm(self, before: Spec | None, spec: Spec) -> None:
        """Watch a new spec for a while: keep it as good, or take the one before back."""
        until = time.monotonic() + spec.delivery.confirm_secs
        while time.monotonic() < until:
            await asyncio.sleep(CHECK_SECS)
            if self.pipeline.state in (State.HALTED, State.FAILED):
                break
        if self.spec is not spec:  # another came meanwhile, and is watched by itself
            return
        if self.pipeline.is_well or self.pipeline.state is State.FINISHED:
            self._confirmed(spec)
        elif before is not None:
            await self._roll_back(before, f"{self.pipeline.state} within {spec.delivery.confirm_secs:g} s: {self.reason}")

    async def _roll_back(self, before: Spec, why: str) -> None:
        self._confirming = None
        found = difference(self.spec, before)
        self.pipeline.log.error("the reloaded spec is taken back, %s", why)
        try:
            if found.source or self.pipeline.state is State.FAILED:
                await self._restart(before)
            else:
                await self.pipeline.reload(blueprint_of(before, self._instance))
        except StockifydError as error:
            self._noted("refused", reason=f"{why}; and the spec before cannot be taken back: {error.reason}", hint=error.hint)
            return
        self.spec = before
        self._noted("rolled_back", changed=str(found), reason=why)

    def _noted(self, outcome: Outcome, *, changed: str = "", reason: str = "", hint: str = "") -> Reloaded:
        return self.note(Reloaded(self.name, outcome, changed, reason, hint))

    def note(self, result: Reloaded) -> Reloaded:
        """Remember what became of a reload; what has not changed is nothing to remember, but that a refusal is over."""
        result = msgspec.structs.replace(result, at=datetime.now(UTC).isoformat(timespec="seconds"))
        self.reloads[result.outcome] = self.reloads.get(result.outcome, 0) + 1
        self._refused = None
        if result.outcome != "unchanged" or (self.last and self.last.is_refused):  # it is as the file says again
            self.last = result
        return result


def _hint(error: StockifydError) -> str:
    return f"\n  HINT: {error.hint}" if error.hint else ""
