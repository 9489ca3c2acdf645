"""The validated, immutable description of a pipeline."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stockifyd.api import Component, Config

Guarantee = Literal["exactly_once", "effectively_once", "at_least_once", "at_most_once"]
Positive = Annotated[int, Meta(ge=1)]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How batches are closed, delivered and acknowledged."""

    guarantee: Annotated[Guarantee | None, Meta(description="What must hold; default: the best that source and sinks give.")] = (
        None
    )
    batch_max_rows: Annotated[Positive, Meta(description="A batch closes at this many rows.")] = 20_000
    batch_max_bytes: Annotated[Positive, Meta(description="A batch closes at this many bytes of raw messages.")] = 8 * 2**20
    linger_ms: Annotated[int, Meta(ge=0, description="Wait this long for a batch to fill, though the sink is free.")] = 0
    lanes: Annotated[int, Meta(ge=1, le=64, description="Deal the partitions to this many lanes, each with its own sinks.")] = 1
    speed: Annotated[
        float,
        Meta(ge=0, description="So many times as fast as the messages' own times: 1 as they were made; 0 as fast as can be."),
    ] = 0.0
    on_drift: Annotated[
        Literal["halt", "continue"],
        Meta(description="Where too many messages are rejected: halt, or make dead letters of them all."),
    ] = "halt"
    confirm_secs: Annotated[
        float,
        Meta(ge=0, description="After a reload: halted, failed or waiting within this time, the spec before is taken back."),
    ] = 30.0
    drain_secs: Annotated[float, Meta(gt=0, description="At a stop, the time a batch in flight has to finish.")] = 20.0


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One component of a pipeline: its class and its typed options."""

    role: Literal["source", "transform", "sink"]
    type: str
    name: str
    component: builtins.type[Component[Any]]
    config: Config
    required: bool = True


@dataclass(frozen=True, slots=True)
class Spec:
    """A pipeline as read from YAML. Equal specs mean that there is nothing to reload."""

    name: str
    source: ComponentSpec
    transforms: tuple[ComponentSpec, ...]
    sinks: tuple[ComponentSpec, ...]
    delivery: Delivery
    guarantee: Guarantee
    dead_letters: ComponentSpec | None = None
    path: str = field(default="", compare=False)
    content: bytes = field(default=b"", compare=False, repr=False)
    """The file as it was read."""


@dataclass(frozen=True, slots=True)
class Instance:
    """Which of the instances of a pipeline this process is: INSTANCE_ID of TOTAL_INSTANCES, from 1."""

    id: int = 1
    total: int = 1
