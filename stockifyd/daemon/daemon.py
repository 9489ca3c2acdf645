"""The process: runs pipelines side by side, answers signals, and knows how it should end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence

from stockifyd.daemon import progress
from stockifyd.daemon.http import Http
from stockifyd.daemon.logs import LineHandler
from stockifyd.daemon.loop import LoopLag
from stockifyd.daemon.metrics import Metrics
from stockifyd.daemon.status import PipelineStatus, Watch
from stockifyd.runtime.pipeline import Pipeline, State
from stockifyd.runtime.tasks import GaveUpError

EX_OK, EX_FAILED = 0, 70
SAMPLE_SECS = 1.0

log = logging.getLogger("stockifyd.daemon")


class Daemon:
    """Exit code 0 when all pipelines are finished or were stopped, 70 where one failed for good."""

    def __init__(self, pipelines: Sequence[Pipeline], *, console: LineHandler | None = None, token: str = "") -> None:
        self._pipelines = pipelines
        self._watches = [Watch(pipeline) for pipeline in pipelines]
        self._console = console
        self._loop_lag = LoopLag()
        self._http = Http(self.statuses, Metrics(self.statuses, self._loop_lag.worst), token=token)
        self._is_stopping = False

    def statuses(self) -> list[PipelineStatus]:
        """All pipelines, now."""
        return [watch.status() for watch in self._watches]

    async def run(self, listen: str = "") -> int:
        """Run until all pipelines have ended; the exit code. Drift where `listen` cannot be."""
        self._answer_signals()
        beside = [asyncio.create_task(self._loop_lag.run()), asyncio.create_task(self._watch())]
        try:
            if listen:
                log.info("status page on %s", await self._http.start(listen))
            await asyncio.gather(*(self._run_one(pipeline) for pipeline in self._pipelines))
        finally:
            for task in beside:
                task.cancel()
            await self._http.stop()
            if self._console:
                self._console.show("")
        return EX_FAILED if any(p.state is State.FAILED for p in self._pipelines) else EX_OK

    async def _run_one(self, pipeline: Pipeline) -> None:
        """One pipeline; what it fails of is its own."""
        try:
            await pipeline.run()
        except GaveUpError as error:
            pipeline.log.error("failed: %s", error)  # noqa: TRY400 - no bug, so no traceback
        except Exception:
            pipeline.log.exception("failed: this is a bug in stockifyd; the offsets did not move past what is stored")

    async def _watch(self) -> None:
        while True:
            for watch in self._watches:
                watch.sample()
            if self._console:
                self._console.show(progress.line(self.statuses()))
            await asyncio.sleep(SAMPLE_SECS)

    def _answer_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._resume)

    def _stop(self, number: signal.Signals) -> None:
        """The first time drain; the second time leave at once, which a ledger makes safe."""
        if self._is_stopping:
            log.warning("%s again: leaving at once", number.name)
            logging.shutdown()
            os._exit(128 + number)
        self._is_stopping = True
        log.info("%s: draining", number.name)
        for pipeline in self._pipelines:
            pipeline.stop()

    def _resume(self) -> None:
        """SIGHUP: an operator has mended what halted a pipeline."""
        for pipeline in self._pipelines:
            pipeline.resume()
