"""One pipeline until its source has ended: where it halts nobody waits for an operator, it ends with the reason."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from stockifyd.api import StockifydError
from stockifyd.daemon.daemon import Daemon
from stockifyd.daemon.supervised import Supervised
from stockifyd.daemon.supervisor import Supervisor
from stockifyd.runtime.state import State
from stockifyd.runtime.tasks import cancelled
from stockifyd.spec.build import build
from stockifyd.spec.model import Spec

LOOK_SECS = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. `exit_code` is the daemon's; `halted` why it went no further."""

    exit_code: int
    is_whole: bool
    messages: int
    dead_letters: int
    halted: StockifydError | None = None


async def findings(spec: Spec) -> list[str]:
    """What the sinks would stumble over, seen before anything is read."""
    found = list[str]()
    for sink in build(spec).sinks:
        found += await sink.probe()
    return found


async def run(supervisor: Supervisor, daemon: Daemon) -> Outcome:
    """Run the only pipeline of a supervisor to its end."""
    [one] = supervisor.pipelines.values()
    watching = asyncio.create_task(_until_halted(one), name="watching for a halt")
    watching.add_done_callback(lambda task: None if task.cancelled() else supervisor.stop())
    code = await daemon.run()
    await cancelled(watching)
    halted = None if watching.cancelled() else watching.result()
    counters, is_whole = one.pipeline.counters, not code and not one.pipeline.was_stopped
    return Outcome(code, is_whole, counters.delivered, counters.rejected, halted)


async def _until_halted(one: Supervised) -> StockifydError:
    while True:
        if one.pipeline.state is State.HALTED and one.pipeline.trouble is not None:
            return one.pipeline.trouble
        await asyncio.sleep(LOOK_SECS)
