"""Transforms, plain and async, and the contract."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from stockifyd.api import Batch, Config, Message, Reject, Row, Tables, Transform, hookimpl
from stockifyd.testing import TransformContract, make_message


class Quote(msgspec.Struct, frozen=True):
    strike: float


class NearOptions(Config, frozen=True):
    width_pct: float = 5.0


class Near(Transform[NearOptions]):
    """Keeps strikes that are near."""

    type = "near"

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("near", ("strike",), self._rows)

    def tables(self, before: Tables) -> Tables:
        return {**before, "near": ("strike",)}

    def _rows(self, message: Message) -> Iterator[Row]:
        quote: Quote = message.value
        if quote.strike <= self.config.width_pct:
            raise Reject(f"strike is {quote.strike}")
        yield (quote.strike,)


class Lookup(Transform[NearOptions]):
    """Looks something up."""

    type = "look"

    async def apply(self, batch: Batch) -> Batch:
        return batch.map(lambda message: message.value)


class TestNear(TransformContract[Near]):
    transform = Near

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"width_pct": 1.0}

    def batch(self) -> Batch:
        return Batch((make_message(0, value=Quote(100.0)), make_message(1, value=Quote(0.5))))


@hookimpl
def stockifyd_messages() -> Mapping[str, type[msgspec.Struct]]:
    return {"quote": Quote}
