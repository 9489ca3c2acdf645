"""Each fact of each contract can fail: components with one fault each, and the facts that find it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Batch, Partition, Span, Unavailable
from stockifyd.testing import (
    LedgerContract,
    MemoryClaims,
    MemoryLedger,
    MemorySink,
    MemorySource,
    MemoryTopic,
    SinkContract,
    SourceContract,
    TransformContract,
    make_message,
)
from unit.testing.catching import Hooks, facts_of, uncaught
from unit.testing.faulty import components, ledgers, sinks, sources, transforms

SINKS = [(MemorySink, ""), *components.FAULTS, *sinks.FAULTS]
LEDGERS = [(MemoryLedger, ""), *ledgers.FAULTS]
TRANSFORMS = [(transforms.Rows, ""), *transforms.FAULTS]
BOUNDED = [(MemorySource, ""), *sources.BOUNDED]
ENDLESS = [(MemorySource, ""), *sources.ENDLESS]


def each(faults: Sequence[tuple[type[Any], str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("faulty", "facts"), faults, ids=lambda value: getattr(value, "__name__", ""))


@each(SINKS)
def test_a_faulty_sink_is_caught(faulty: type[Any], facts: str, tmp_path: Path) -> None:
    """The facts that must fail do; of a sound sink none does."""

    class Contract(Hooks, SinkContract[Any]):
        sink = faulty

    assert set() == uncaught(Contract(), tmp_path, facts)


@each(LEDGERS)
def test_a_faulty_ledger_is_caught(faulty: type[Any], facts: str, tmp_path: Path) -> None:
    """The facts that must fail do; of a sound ledger none does."""

    class Contract(Hooks, LedgerContract[Any]):
        sink = faulty

    assert set() == uncaught(Contract(), tmp_path, facts)


@each(TRANSFORMS)
def test_a_faulty_transform_is_caught(faulty: type[Any], facts: str, tmp_path: Path) -> None:
    """The facts that must fail do; of a sound transform none does."""

    class Contract(TransformContract[Any]):
        transform = faulty

        def fresh(self) -> None:
            transforms.Counts.seen = 0

        def options(self, tmp_path: Path) -> dict[str, Any]:
            return {}

        def batch(self) -> Batch:
            value = {} if faulty is transforms.WritesIntoIt else None
            messages = tuple(make_message(offset, value=value) for offset in range(3))
            return Batch(messages, advance={messages[0].position.partition: Span(0, 3)})

        def outside(self) -> list[dict[str, Any]]:
            return [] if faulty is transforms.RehearsesAnother else super().outside()

    assert set() == uncaught(Contract(), tmp_path, facts)


class TopicHooks:
    """A topic for each fact."""

    topic: MemoryTopic
    in_process = True
    bounded = True

    def fresh(self) -> None:
        self.topic = MemoryTopic(endless=not self.bounded)

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"topic": self.topic.name, "idle_ms": 1, "read_max_messages": 3}

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        self.topic.add(*bodies)

    def break_it(self, component: Any) -> None:
        self.topic.fail(Unavailable("away"))

    def mend_it(self, component: Any) -> None:
        self.topic.failures.clear()

    def take_away(self, source: Any) -> None:
        self.topic.assign(source.context.instance_id, [])

    def give_back(self, source: Any) -> None:
        self.topic.assign(source.context.instance_id, self.topic.partitions)


@each(BOUNDED)
def test_a_faulty_bounded_source_is_caught(faulty: type[Any], facts: str, tmp_path: Path) -> None:
    """The facts that must fail do; of a sound source none does."""

    class Contract(TopicHooks, SourceContract[Any]):
        source = faulty

        def take_away(self, source: Any) -> None:
            pytest.skip("a bounded source without a partition ends")

    assert set() == uncaught(Contract(), tmp_path, facts)


@each(ENDLESS)
def test_a_faulty_endless_source_is_caught(faulty: type[Any], facts: str, tmp_path: Path) -> None:
    """The facts that must fail do; of a sound source none does."""

    class Contract(TopicHooks, SourceContract[Any]):
        source = faulty
        bounded = False

    assert set() == uncaught(Contract(), tmp_path, facts)


@pytest.mark.parametrize(
    ("contract", "faults"),
    [
        (SinkContract, SINKS),
        (LedgerContract, SINKS + LEDGERS),
        (TransformContract, SINKS + TRANSFORMS),
        (SourceContract, SINKS + BOUNDED + ENDLESS),
    ],
)
def test_every_fact_has_its_fault(contract: type[Any], faults: list[tuple[type[Any], str]]) -> None:
    """There is no fact that nothing above fails, no fault whose fact is gone, and no contract of fewer than 15 facts."""
    caught = {name for _, facts in faults for name in facts.split()}
    assert set() == facts_of(contract) - caught
    assert len(facts_of(contract)) >= 15


def test_a_ledger_takes_the_ledger_contract() -> None:
    """A ledger sink under the plain contract would be tested for half of what it promises: refused, with the cure."""
    with pytest.raises(TypeError, match=r"HINT: take LedgerContract\[MemoryLedger\]"):
        type("Wrong", (SinkContract,), {"sink": MemoryLedger})


async def test_claims_answer_what_is_stored() -> None:
    """The stand-in for claims knows the order: stored, then committed, then the start."""
    a, b, c = (Partition("t", n) for n in range(3))
    claims = MemoryClaims({a: 7})
    assert {a: 7, b: 5, c: 1} == await claims.take({a: 1, b: 1, c: 1}, {a: 3, b: 5})
