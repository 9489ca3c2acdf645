"""What a type checker must tell an author: each ignored error is expected, and an unused `ignore` is an error itself."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from stockifyd.api import (
    Batch,
    Claims,
    Config,
    Drift,
    LedgerSink,
    Message,
    Partition,
    Receipt,
    Secret,
    Sink,
    Source,
    Span,
    Table,
    Transform,
)
from stockifyd.testing import LedgerContract, MemoryRows, MemorySink, SinkContract, make


class Options(Config, frozen=True):
    path: str
    password: Secret


class WrongAnswer(Sink[Options]):
    async def write(self, batch: Batch) -> int:  # type: ignore[override]
        return 0


class NotAsync(Sink[Options]):
    def write(self, batch: Batch) -> Receipt:  # type: ignore[override]
        return Receipt()


class WrongOption(Sink[Options]):
    async def write(self, batch: Batch) -> None:
        print(self.config.paht)  # type: ignore[attr-defined]
        print(self.config.path.decode())  # type: ignore[attr-defined]


class SecretAsText(Sink[Options]):
    async def write(self, batch: Batch) -> None:
        print("password: " + self.config.password)  # type: ignore[operator]


class ChangesTheBatch(Sink[Options]):
    async def write(self, batch: Batch) -> None:
        batch.messages = ()  # type: ignore[misc]
        batch.tables["options"].columns = ()  # type: ignore[misc]
        batch.tables["more"] = Table((), [], [])  # type: ignore[index]
        self.config.path = "elsewhere"  # type: ignore[misc]


class NoBrackets(Sink):  # type: ignore[type-arg]
    async def write(self, batch: Batch) -> None: ...


class NotOptions(Sink[dict[str, Any]]):  # type: ignore[type-var]
    async def write(self, batch: Batch) -> None: ...


class ReturnsRows(Transform[Options]):
    def apply(self, batch: Batch) -> list[Any]:  # type: ignore[override]
        return []


class ForgetsTheClaim(LedgerSink[Options]):
    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {}

    async def write(self, batch: Batch) -> None: ...


class ReadsTuples(Source[Options]):
    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        yield [(b"key", b"value")]  # type: ignore[list-item]


class DoesNotWait(Source[Options]):
    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        start = claims.take({Partition("t"): 0})[Partition("t")]  # type: ignore[index]
        yield [Message(start, b"")]


class WrongContract(SinkContract[MemoryRows]):  # type: ignore[type-var]
    pass


class WrongSink(SinkContract[MemorySink]):
    sink = MemoryRows  # type: ignore[assignment]


class PlainLedger(LedgerContract[MemorySink]):  # type: ignore[type-var]
    pass


def mistakes() -> None:
    """Wrong calls."""
    ForgetsTheClaim(Options(path="", password=Secret("")), None)  # type: ignore[abstract, arg-type]
    Receipt(rejected={"first": "bad"})  # type: ignore[dict-item]
    Options(path="x", password="open")  # type: ignore[arg-type]
    Drift("a table is gone", "make it")  # type: ignore[call-arg]
    Batch((), advance={Partition("t"): (0, 1)})  # type: ignore[dict-item]
    Span("0", 1)  # type: ignore[arg-type]
    make(dict)  # type: ignore[type-var]
