"""Each fact of the contracts of transforms and sources can fail: components with one fault each, and the facts that find it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Batch, Claims, Config, Message, Partition, Tables, Transform
from stockifyd.testing import COLUMNS, MemoryClaims, MemorySource, MemoryTopic, SourceContract, TransformContract, make_message
from unit.testing.catching import failures


class NoOptions(Config, frozen=True):
    pass


class Rows(Transform[NoOptions]):
    """Sound."""

    type = "rows"

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("options", COLUMNS, lambda m: [(m.position.offset, m.raw)])


class Counts(Rows):
    """Numbers rows by what it saw before."""

    seen = 0

    def apply(self, batch: Batch) -> Batch:
        made = super().apply(batch)
        rows = [(n + self.seen, row[1]) for n, row in enumerate(made.tables["options"].rows)]
        Counts.seen += len(rows)
        return made.with_table("options", replace(made.tables["options"], rows=rows))


class Drops(Rows):
    """Loses a message without a word."""

    def apply(self, batch: Batch) -> Batch:
        return super().apply(batch).keep(range(max(len(batch.messages) - 1, 0)))


class Misaligned(Rows):
    """Takes messages, and leaves their rows."""

    def apply(self, batch: Batch) -> Batch:
        made = super().apply(batch)
        return replace(made, tables={"options": replace(made.tables["options"], ends=[])})


class Lies(Rows):
    """Foretells other columns."""

    def tables(self, before: Tables) -> Tables:
        return {"options": ("a",)}


class Raises(Rows):
    """Cannot read what is not text."""

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("options", COLUMNS, lambda m: [(m.position.offset, m.raw.decode())])


class Moves(Rows):
    """Forgets how far the batch goes."""

    def apply(self, batch: Batch) -> Batch:
        return replace(super().apply(batch), advance={}, rejected=())


class Silent(Rows):
    """Makes no table of nothing."""

    def apply(self, batch: Batch) -> Batch:
        return super().apply(batch) if batch.messages else batch


TRANSFORMS: list[tuple[type[Any], set[str]]] = [
    (Rows, set()),
    (Counts, {"the_same_again", "how_messages_are_batched_does_not_matter"}),
    (Drops, {"every_message_is_accounted_for"}),
    (Misaligned, {"tables_are_well_formed"}),
    (Lies, {"tables_are_foretold"}),
    (Raises, {"garbage_is_rejected_alone"}),
    (Moves, {"rejected_before_and_advance_stay"}),
    (Silent, {"an_empty_batch"}),
]


@pytest.mark.parametrize(("faulty", "caught"), TRANSFORMS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_transform_is_caught(faulty: type[Any], caught: set[str], tmp_path: Path) -> None:
    """The facts that must fail do; of a sound transform none does."""

    class Contract(TransformContract[Any]):
        transform = faulty

        def fresh(self) -> None:
            Counts.seen = 0

        def options(self, tmp_path: Path) -> dict[str, Any]:
            return {}

        def batch(self) -> Batch:
            messages = tuple(make_message(offset) for offset in range(3))
            return Batch(messages, advance={messages[0].position.partition: (0, 3)})  # type: ignore[dict-item]

    failed = failures(Contract(), tmp_path)
    assert caught <= failed if caught else failed == set()


class StartsOver(MemorySource):
    """Asks, and does not listen."""

    async def _begin(self, claims: Claims, partition: Partition, offset: int) -> int:
        return 0


class NeverAsks(MemorySource):
    """Reads without a claim."""

    async def _rebalance(self, claims: Claims, topic: MemoryTopic) -> None:
        self.at = self.at or dict.fromkeys(topic.partitions, 0)


class NeverPauses(MemorySource):
    """Fetches on."""

    def pause(self) -> None:
        pass


class IsBehind(MemorySource):
    """Says that it stands where it began."""

    def positions(self) -> Mapping[Partition, int]:
        return dict.fromkeys(self.at, 0)


class Shuffles(MemorySource):
    """Yields backwards."""

    def _next(self, topic: MemoryTopic) -> list[Message]:
        return super()._next(topic)[::-1]


class LosesTheFirst(MemorySource):
    """Loses what it reads first."""

    def _next(self, topic: MemoryTopic) -> list[Message]:
        return super()._next(topic)[1:]


SOURCES: list[tuple[type[Any], set[str]]] = [
    (MemorySource, set()),
    (StartsOver, {"resumes_at_the_claimed_offset"}),
    (NeverAsks, {"claims_before_it_reads", "everything_in_order"}),
    (NeverPauses, {"yields_while_paused"}),
    (IsBehind, {"everything_in_order"}),
    (Shuffles, {"everything_in_order"}),
    (LosesTheFirst, {"everything_in_order"}),
]


@pytest.mark.parametrize(("faulty", "caught"), SOURCES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_source_is_caught(faulty: type[Any], caught: set[str], tmp_path: Path) -> None:
    """The facts that must fail do; of a sound source none does."""

    class Contract(SourceContract[Any]):
        source = faulty

        def fresh(self) -> None:
            self.topic = MemoryTopic()

        def options(self, tmp_path: Path) -> dict[str, Any]:
            return {"topic": self.topic.name, "idle_ms": 1}

        def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
            self.topic.add(*bodies)

    failed = failures(Contract(), tmp_path)
    assert caught <= failed if caught else failed == set()


async def test_claims_answer_what_is_stored() -> None:
    """The stand-in for claims knows the order: stored, then committed, then the start."""
    a, b, c = (Partition("t", n) for n in range(3))
    claims = MemoryClaims({a: 7})
    assert {a: 7, b: 5, c: 1} == await claims.take({a: 1, b: 1, c: 1}, {a: 3, b: 5})
