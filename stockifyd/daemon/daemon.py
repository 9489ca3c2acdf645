"""The process: pipelines under supervision, signals, watched files, the control socket, and how it should end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockifyd.api import Drift
from stockifyd.daemon import progress, watching
from stockifyd.daemon.blockers import Blockers
from stockifyd.daemon.control import Control
from stockifyd.daemon.http import Http
from stockifyd.daemon.leftovers import remember_owners
from stockifyd.daemon.logs import LineHandler
from stockifyd.daemon.loop import LoopLag
from stockifyd.daemon.metrics import Metrics
from stockifyd.daemon.notify import Notify
from stockifyd.daemon.specs import Specs
from stockifyd.daemon.status import PipelineStatus, Watch
from stockifyd.daemon.supervisor import Supervisor
from stockifyd.daemon.wellbeing import Wellbeing
from stockifyd.runtime.tasks import cancelled

EX_OK, EX_FAILED = 0, 70
SAMPLE_SECS = 1.0

log = logging.getLogger("stockifyd.daemon")


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the daemon can be asked: `listen` is HOST:PORT, for reading; `control` the folder of the control socket."""

    listen: str = ""
    token: str = ""
    control: Path | None = None


NO_DOORS = Doors()


class Daemon:
    """Exit code 0 when all pipelines are finished or were stopped, 70 where one failed for good."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        specs: Specs | None = None,
        console: LineHandler | None = None,
        doors: Doors = NO_DOORS,
    ) -> None:
        self._supervisor, self._specs, self._console = supervisor, specs, console
        self._doors = doors
        self._watches: dict[str, Watch] = {}
        self._loop_lag, self._notify = LoopLag(), Notify()
        self._wellbeing = Wellbeing(self.statuses, self._notify)
        metrics = Metrics(self.statuses, self._loop_lag.worst)
        self._http = Http(self.statuses, metrics, token=self._doors.token)
        self._control = Control(supervisor, self.statuses, metrics)
        self._reloading: asyncio.Task[None] | None = None
        supervisor.around_reload = self._told_of_reload
        self._is_stopping = False

    def statuses(self) -> list[PipelineStatus]:
        """All pipelines, now."""
        pipelines = self._supervisor.pipelines
        self._watches = {name: self._watches.get(name) or Watch(one) for name, one in pipelines.items()}
        return [watch.status() for watch in self._watches.values()]

    async def run(self) -> int:
        """Run until all pipelines have ended; the exit code. Drift where a door cannot be opened."""
        remember_owners(asyncio.get_running_loop())
        self._answer_signals()
        beside: list[asyncio.Task[None]] = []
        try:
            await self._open_doors()
            beside = [asyncio.create_task(work) for work in self._beside()]
            await self._supervisor.run()
        finally:
            for task in beside:
                await cancelled(task)
            await self._control.stop()
            await self._http.stop()
            if self._console:
                self._console.show("")
        return EX_FAILED if self._supervisor.failed else EX_OK

    def _beside(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the pipelines."""
        work = [self._loop_lag.run(), Blockers().run(), self._sample(), self._wellbeing.run()]
        if self._specs is not None:
            specs = self._specs
            work.append(watching.watch(lambda: specs.folders, self._supervisor.look))
        return work

    async def _open_doors(self) -> None:
        if self._doors.control is not None:
            try:
                log.debug("control socket %s", await self._control.start(self._doors.control))
            except Drift as error:  # pipelines are more than the commands that look after them
                log.warning("there is no control socket: %s\n  HINT: %s", error.reason, error.hint)
        if self._doors.listen:
            log.info("status page on %s", await self._http.start(self._doors.listen))

    async def _sample(self) -> None:
        self._notify.ready(self._wellbeing.line())
        while True:
            for watch in self._watches.values():
                watch.sample()
            statuses = self.statuses()
            if self._console:
                self._console.show(progress.line(statuses))
            await asyncio.sleep(SAMPLE_SECS)

    def _answer_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    @contextmanager
    def _told_of_reload(self) -> Iterator[None]:
        """Systemd is told of every reload, whoever asked for it; its end comes with the line that says what became of it."""
        self._notify.reloading()
        try:
            yield
        finally:
            self._notify.ready(self._wellbeing.line())

    def _stop(self, number: signal.Signals) -> None:
        """The first time drain; the second time leave at once, which a ledger makes safe."""
        if self._is_stopping:
            log.warning("%s again: leaving at once", number.name)
            logging.shutdown()
            os._exit(128 + number)
        self._is_stopping = True
        log.info("%s: draining", number.name)
        self._notify.stopping()
        self._supervisor.stop()

    def _reload(self) -> None:
        """SIGHUP: read the files again, and resume what is halted: an operator has mended something."""

        async def reload() -> None:
            await self._supervisor.reload(resume=True)

        if self._specs is None:
            for one in self._supervisor.pipelines.values():
                one.pipeline.resume()
        elif self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(reload(), name="daemon reload")
