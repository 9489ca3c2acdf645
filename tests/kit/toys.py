"""Components that do nothing: for tests of specs, registries and commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stockifyd.api import (
    Batch,
    Claims,
    Config,
    LedgerSink,
    Message,
    Partition,
    Receipt,
    Secret,
    Sink,
    Source,
    Tables,
    Transform,
)
from stockifyd.registry import Registry


class TapOptions(Config, frozen=True, kw_only=True):
    """Where a tap runs from."""

    pipe: Annotated[str, Meta(description="The pipe.", examples=["main"])]
    rate: Annotated[int, Meta(ge=1, le=1000, description="Messages a second.")] = 10
    burst: float | None = None
    mode: Literal["slow", "fast"] = "slow"
    password: Secret | None = None

    def __post_init__(self) -> None:
        if self.mode == "slow" and self.rate > 100:
            raise ValueError(f"rate: {self.rate} is not slow, write 100 or less")


class Tap(Source[TapOptions]):
    """Drips messages.

    It can be read again.
    """

    type = "tap"

    @property
    def consumer(self) -> str:
        return f"tap-{self.config.pipe}"

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        yield []


class Radio(Source[TapOptions]):
    """Is heard once or never."""

    type = "radio"
    replayable = False

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        yield []


class SplitOptions(Config, frozen=True, kw_only=True):
    """What a split makes."""

    into: str = "drops"
    columns: tuple[str, ...] = ("at", "volume")


class Split(Transform[SplitOptions]):
    """Makes a table."""

    type = "split"

    def apply(self, batch: Batch) -> Batch:
        return batch

    def tables(self, before: Tables) -> Tables:
        if self.config.into in before:
            raise ValueError(f"there is a table {self.config.into!r} already")
        return {**before, self.config.into: self.config.columns}


class OpaqueOptions(Config, frozen=True):
    """None."""


class Opaque(Transform[OpaqueOptions]):
    """Makes tables that nobody knows beforehand."""

    type = "opaque"

    def apply(self, batch: Batch) -> Batch:
        return batch


class Into(msgspec.Struct, frozen=True, kw_only=True):
    """Where one table goes."""

    into: str
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if " " in self.into:
            raise ValueError(f"into: {self.into!r} has a space")


class TubOptions(Config, frozen=True, kw_only=True):
    """What a tub keeps."""

    tables: dict[str, Into] = msgspec.field(default_factory=dict)
    limits: dict[str, int] = msgspec.field(default_factory=dict)


class Tub(LedgerSink[TubOptions]):
    """Keeps a ledger."""

    type = "tub"

    def wants(self) -> Tables:
        return {name: table.columns for name, table in self.config.tables.items()}

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {}

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        return dict(starts)

    async def write(self, batch: Batch) -> Receipt | None:
        return None


class Bucket(Sink[TubOptions]):
    """May hold things twice."""

    type = "bucket"

    async def write(self, batch: Batch) -> Receipt | None:
        return None


class Jar(Sink[TubOptions]):
    """Holds everything once."""

    type = "jar"
    idempotent = True

    async def write(self, batch: Batch) -> Receipt | None:
        return None


def registry() -> Registry:
    """All of them."""
    return Registry.of(Tap, Radio, Split, Opaque, Tub, Bucket, Jar)


VALID = b"""\
version: 1
name: bath
source:
  type: tap
  pipe: main
  rate: 20
transforms:
  - type: split
    into: drops
sinks:
  - type: tub
    tables:
      drops: {into: kept, columns: [at]}
delivery:
  batch_max_rows: 100
"""
