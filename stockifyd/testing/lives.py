"""What a component does in a process that will be killed: it opens, works as in a pipeline, and is never closed."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stockifyd.api import Batch, Component, Context, LedgerSink, Sink, Source, Tables, Transform, configure
from stockifyd.testing.claims import MemoryClaims
from stockifyd.testing.facts import settle
from stockifyd.testing.making import make_context
from stockifyd.testing.stepping import Steps, stepped


@dataclass(frozen=True, slots=True)
class Life:
    """A component to be made: its class, and plain options as a spec gives them."""

    kind: type[Component[Any]]
    options: Mapping[str, Any]
    consumer: str = "contract"
    tables: Tables | None = None

    def make(self) -> Component[Any]:
        """The component, not opened; its pipeline and its consumer have the same name."""
        given = make_context(self.kind.type, self.tables)
        context = Context(self.consumer, given.name, given.log, consumer=self.consumer, tables=self.tables)
        return self.kind(configure(self.kind, self.options), context)

    @property
    def files(self) -> set[str]:
        """Where the component and its base classes are written, the API's apart."""
        ours = (base.__module__ for base in self.kind.__mro__ if not base.__module__.startswith("stockifyd.api"))
        files = {getattr(sys.modules.get(module), "__file__", None) for module in ours}
        return {file for file in files if file and file.endswith(".py")}


async def write(life: Life, batch: Batch, point: int, die: Callable[[], object]) -> None:
    """Open, claim what the batch advances, write; `die` at the point."""
    sink = life.make()
    assert isinstance(sink, Sink)
    await sink.open()
    if isinstance(sink, LedgerSink):
        await sink.claim({partition: span.base for partition, span in batch.advance.items()})
    await stepped(sink.write(batch), Steps(point, die), life.files)


async def read(life: Life, count: int, point: int, die: Callable[[], object]) -> None:
    """Open, and read from the start until there are so many messages; `die` at the point."""
    source = life.make()
    assert isinstance(source, Source)
    await source.open()
    await stepped(_read(source, count), Steps(point, die), life.files)


async def apply(life: Life, batches: list[Batch]) -> list[Batch]:
    """Open, and transform batches one after another."""
    transform = life.make()
    assert isinstance(transform, Transform)
    try:
        await transform.open()
        return [await settle(transform.apply(batch)) for batch in batches]
    finally:
        await transform.close()


async def _read(source: Source[Any], count: int) -> None:
    reading = source.read(MemoryClaims())
    async for part in reading:
        count -= len(part)
        if count <= 0:
            break
    if isinstance(reading, AsyncGenerator):
        await reading.aclose()
