"""A ledger sink and its contract."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, assert_type

from stockifyd.api import Batch, Config, Fenced, LedgerSink, Partition, Row, Span
from stockifyd.testing import LedgerContract


class NoOptions(Config, frozen=True):
    pass


class Ledger(LedgerSink[NoOptions]):
    """Keeps offsets."""

    type = "ledger"

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return dict.fromkeys(partitions, 0)

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        return starts

    async def write(self, batch: Batch) -> None:
        for partition, span in batch.advance.items():
            assert_type(span, Span)
            raise Fenced(f"{partition.topic} is not at {span.base}")
        for letter in batch.rejected:
            assert_type(letter.message.raw, bytes)


class TestLedger(LedgerContract[Ledger]):
    sink = Ledger

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {}

    async def stored(self, sink: Ledger) -> list[Row]:
        return []

    async def dead_letters(self, sink: Ledger) -> list[tuple[int, str]]:
        return []
