"""Prometheus metrics, read from the snapshots when they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stockifyd.daemon.status import PipelineStatus
from stockifyd.runtime.state import State


class Metrics(Collector):
    """Names are an API: they change only with a major version. See docs/operating.md."""

    def __init__(self, statuses: Callable[[], list[PipelineStatus]], loop_lag: Callable[[], float]) -> None:
        self._statuses = statuses
        self._loop_lag = loop_lag
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """All metrics, in the exposition format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """What `generate_latest` asks for."""
        statuses = self._statuses()
        yield from _counts(statuses)
        yield from _sinks(statuses)
        yield _states(statuses)
        yield _lags(statuses)
        yield GaugeMetricFamily("stockifyd_loop_lag_seconds", "The longest stall of the event loop lately.", self._loop_lag())
        yield GaugeMetricFamily("stockifyd_tasks", "Tasks of the event loop.", _tasks())


def _tasks() -> int:
    """0 where no loop runs in this thread."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0


def _counts(statuses: list[PipelineStatus]) -> Iterable[Metric]:
    counted = CounterMetricFamily("stockifyd_messages", "Messages by what became of them.", labels=["pipeline", "outcome"])
    reloads = CounterMetricFamily("stockifyd_reloads", "Reloads by what became of them.", labels=["pipeline", "outcome"])
    restarts = CounterMetricFamily(
        "stockifyd_restarts", "How often a pipeline that failed was started again.", labels=["pipeline"]
    )
    rewinds = CounterMetricFamily("stockifyd_rewinds", "How often partitions were claimed anew.", labels=["pipeline"])
    gaps = CounterMetricFamily("stockifyd_gaps", "Spans that the source lost before they were read.", labels=["pipeline"])
    for s in statuses:
        counted.add_metric([s.name, "fetched"], s.messages_fetched)
        counted.add_metric([s.name, "delivered"], s.messages_delivered)
        counted.add_metric([s.name, "rejected"], s.messages_rejected)
        rewinds.add_metric([s.name], s.rewinds)
        gaps.add_metric([s.name], s.gaps)
        restarts.add_metric([s.name], s.restarts)
        for outcome, count in s.reloads.items():
            reloads.add_metric([s.name, outcome], count)
    return counted, gaps, rewinds, restarts, reloads


def _sinks(statuses: list[PipelineStatus]) -> Iterable[Metric]:
    rows = CounterMetricFamily("stockifyd_rows", "Rows written.", labels=["pipeline", "sink"])
    duplicates = CounterMetricFamily("stockifyd_duplicate_rows", "Rows there already.", labels=["pipeline", "sink"])
    dropped = CounterMetricFamily(
        "stockifyd_dropped_messages", "Messages an optional sink did not take.", labels=["pipeline", "sink"]
    )
    for s in statuses:
        for family, by_sink in ((rows, s.rows), (duplicates, s.duplicates), (dropped, s.dropped)):
            for sink, count in by_sink.items():
                family.add_metric([s.name, sink], count)
    return rows, duplicates, dropped


def _states(statuses: list[PipelineStatus]) -> Metric:
    family = GaugeMetricFamily("stockifyd_pipeline_state", "1 for the state a pipeline is in.", labels=["pipeline", "state"])
    for s in statuses:
        for state in State:
            family.add_metric([s.name, state.value], float(s.state == state.value))
    return family


def _lags(statuses: list[PipelineStatus]) -> Metric:
    labels = ["pipeline", "topic", "partition"]
    family = GaugeMetricFamily("stockifyd_lag_messages", "Messages of a partition that are not durable yet.", labels=labels)
    for s in statuses:
        for p in s.partitions:
            if p.lag is not None:
                family.add_metric([s.name, p.topic, str(p.partition)], p.lag)
    return family
