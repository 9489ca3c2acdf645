"""What a pipeline looks like from outside: one snapshot, for the page, the metrics, progress and scripts."""

from __future__ import annotations

import time
from collections import deque

import msgspec

from stockifyd.daemon.supervised import Reloaded, Supervised


class PartitionStatus(msgspec.Struct, frozen=True):
    """One partition that is ours. `next_offset` is durable; `lag` are messages that are not, None where the source cannot say."""

    topic: str
    partition: int
    next_offset: int
    lag: int | None


class PipelineStatus(msgspec.Struct, frozen=True):
    """One pipeline, now. Counts since its start; rates over the last seconds; `left_secs` until the lag is 0."""

    name: str
    state: str
    reason: str
    hint: str
    instance_id: int
    total_instances: int
    messages_fetched: int
    messages_delivered: int
    messages_rejected: int
    rows: dict[str, int]
    duplicates: dict[str, int]
    dropped: dict[str, int]
    rewinds: int
    restarts: int
    reloads: dict[str, int]
    last_reload: Reloaded | None
    spec: str
    messages_per_sec: float
    rows_per_sec: float
    lag: int | None
    left_secs: float | None
    partitions: list[PartitionStatus]
    gaps: int = 0


class Watch:
    """Samples a pipeline's counters, so that rates can be told."""

    def __init__(self, supervised: Supervised, *, over_secs: float = 5.0) -> None:
        self.supervised = supervised
        self._over = over_secs
        self._samples: deque[tuple[float, int, int]] = deque()

    def sample(self) -> None:
        """Note the counters of this moment; called about once a second."""
        counters = self.supervised.pipeline.counters
        now = time.monotonic()
        self._samples.append((now, counters.delivered, sum(counters.rows.values())))
        while len(self._samples) > 2 and now - self._samples[0][0] > self._over:  # noqa: PLR2004
            self._samples.popleft()

    def status(self) -> PipelineStatus:
        """The pipeline now."""
        one, pipeline, counters = self.supervised, self.supervised.pipeline, self.supervised.pipeline.counters
        messages, rows = self._rates()
        lags = pipeline.lag()
        lag = sum(lags.values()) if lags else None
        partitions = [PartitionStatus(p.topic, p.number, n, lags.get(p)) for p, n in sorted(pipeline.checkpoint.items())]
        return PipelineStatus(
            name=pipeline.name,
            state=one.state.value,
            reason=one.reason,
            hint=pipeline.trouble.hint if pipeline.trouble else "",
            instance_id=pipeline.instance.id,
            total_instances=pipeline.instance.total,
            messages_fetched=counters.fetched,
            messages_delivered=counters.delivered,
            messages_rejected=counters.rejected,
            rows=dict(counters.rows),
            duplicates=dict(counters.duplicates),
            dropped=dict(counters.dropped),
            rewinds=counters.rewinds,
            restarts=one.restarts,
            reloads=dict(one.reloads),
            last_reload=one.last,
            spec=one.spec.path,
            messages_per_sec=round(messages, 1),
            rows_per_sec=round(rows, 1),
            lag=lag,
            left_secs=round(lag / messages, 1) if lag and messages else None,
            partitions=partitions,
            gaps=counters.gaps,
        )

    def _rates(self) -> tuple[float, float]:
        if len(self._samples) < 2 or (secs := self._samples[-1][0] - self._samples[0][0]) <= 0:  # noqa: PLR2004
            return 0.0, 0.0
        first, last = self._samples[0], self._samples[-1]
        return (last[1] - first[1]) / secs, (last[2] - first[2]) / secs
