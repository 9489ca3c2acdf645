"""Plugins that misbehave, as files for `--plugin`; what they do is told by a file that may change while they run."""

from __future__ import annotations

from pathlib import Path

HEAD = '''
"""Misbehaves as the file `order` says."""
import asyncio
import time
from pathlib import Path
from typing import Any

from stockifyd.api import Batch, Component, Config, Context, Receipt, Sink, Transform, hookimpl


def order(path: str) -> str:
    file = Path(path)
    return file.read_text() if file.exists() else ""

'''
BLOCKING = '''
class BlockingOptions(Config, frozen=True):
    order: str
    """The file: seconds to block the event loop for, once."""


class Blocking(Transform[BlockingOptions]):
    """Passes everything on."""

    type = "blocking"

    def apply(self, batch: Batch) -> Batch:
        if secs := order(self.config.order):
            Path(self.config.order).unlink()
            time.sleep(float(secs))
        return batch


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Blocking]
'''
ROGUE = '''
class RogueOptions(Config, frozen=True):
    into: str
    """The file: a line a message."""
    does: str = "well"
    """well, raises, hangs, lies, names, or clings."""


class Rogue(Sink[RogueOptions]):
    """Appends values to a file, or does not."""

    type = "rogue"

    def __init__(self, config: RogueOptions, context: Context) -> None:
        super().__init__(config, context)
        self.writes = 0

    async def write(self, batch: Batch) -> Any:
        self.writes += 1
        if self.config.does == "raises":
            raise KeyError("a bug of somebody's")
        if self.config.does == "hangs":
            await asyncio.Event().wait()
        if self.config.does == "lies":
            return Receipt(rejected={10**6: "of a message that is not there"})
        if self.config.does == "names":
            return "all is well"
        while self.config.does == "clings":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.context.log.warning("not I")
                await asyncio.sleep(1)
                raise
        with open(self.config.into, "a") as file:
            file.writelines(f"{m.position.partition.number} {m.position.offset}\\n" for m in batch.messages)
        return Receipt(rows=len(batch.messages))


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Rogue]
'''


def blocking_plugin(folder: Path) -> Path:
    """A transform `blocking`, which blocks the event loop when its order says so."""
    return _written(folder / "blocking.py", BLOCKING)


def rogue_plugin(folder: Path) -> Path:
    """A sink `rogue`, whose option `does` says how it misbehaves."""
    return _written(folder / "rogue.py", ROGUE)


def _written(path: Path, code: str) -> Path:
    path.write_text(HEAD + code)
    return path
