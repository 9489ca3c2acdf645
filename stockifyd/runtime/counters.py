"""What a pipeline counts, in messages and rows; read by progress, the status page and the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field

from stockifyd.api import Batch, Receipt


@dataclass(slots=True)
class Counters:
    """Totals since the pipeline was started."""

    fetched: int = 0
    delivered: int = 0
    rejected: int = 0
    batches: int = 0
    retries: int = 0
    rewinds: int = 0
    gaps: int = 0
    rebalances: int = 0
    write_secs: float = 0.0
    transform_secs: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    def wrote(self, sink: str, batch: Batch, receipt: Receipt | None) -> None:
        """A batch is durable in a sink."""
        self.rows[sink] = self.rows.get(sink, 0) + (receipt.rows if receipt else batch.row_count)
        if receipt and receipt.duplicates:
            self.duplicates[sink] = self.duplicates.get(sink, 0) + receipt.duplicates
