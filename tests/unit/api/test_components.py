"""Components: what an author need not write."""
# what is expected stands first in an assert

import logging
from datetime import UTC, datetime

import pytest

from stockifyd.api import Batch, Config, Context, Drift, LedgerSink, Partition, Sink, Source, Span, Transform
from stockifyd.testing import MemoryLedger, MemorySource, MemoryStore, MemoryTopic, make, make_batch, make_context


class NoOptions(Config, frozen=True):
    pass


class Least(Sink[NoOptions]):
    """The least that a sink can be."""

    type = "least"

    async def write(self, batch: Batch) -> None: ...


class Same(Transform[NoOptions]):
    """The least that a transform can be."""

    type = "same"

    def apply(self, batch: Batch) -> Batch:
        return batch


def test_the_time() -> None:
    """A context knows what time it is, in UTC; a test may tell it another."""
    before = datetime.now(UTC)
    assert before <= make_context().now() <= datetime.now(UTC)
    then = datetime(2026, 11, 24, 3, 45, tzinfo=UTC)
    assert then == make(Least, make_context(now=lambda: then)).context.now()


async def test_a_sink_is_one_method() -> None:
    """All else has a default that does nothing and promises nothing."""
    sink = make(Least)
    await sink.open()
    await sink.write(make_batch())
    assert ((), {}, False) == (await sink.probe(), sink.wants(), sink.idempotent)
    await sink.close()


def test_a_transform_that_says_nothing_of_its_tables() -> None:
    """By default it cannot be told what leaves."""
    assert make(Same).tables({"a": ("b",)}) is None


@pytest.mark.parametrize("role", [Sink, Transform, Source, LedgerSink])
def test_the_method_must_be_written(role: type[Sink[NoOptions]]) -> None:
    """A class without its one method cannot be made."""
    with pytest.raises(TypeError, match="abstract"):
        role(NoOptions(), Context("p", "n", logging.getLogger("test")))


async def test_a_source_needs_no_checkpoint() -> None:
    """By default positions, lag, pause, resume and commit do nothing; the pipeline's name reads."""
    topic = MemoryTopic()
    source = make(MemorySource, topic=topic.name)
    assert ({}, {}) == (Source.positions(source), Source.lag(source))
    Source.pause(source)
    Source.resume(source)
    await Source.commit(source, {})
    assert "contract" == Source.consumer.fget(source)  # type: ignore[attr-defined]


async def test_a_ledger_without_gaps_refuses_them() -> None:
    """By default lost offsets halt the pipeline, with partition, offsets and reason."""
    store = MemoryStore()
    ledger = make(MemoryLedger, store=store.name)
    with pytest.raises(Drift, match=r"t/3: 5 to 9 are lost: retention, and 'memory_ledger' keeps no gaps"):
        await LedgerSink.skip(ledger, Partition("t", 3), Span(5, 9), "retention")
