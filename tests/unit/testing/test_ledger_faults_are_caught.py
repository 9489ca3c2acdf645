"""Each fact of the contract of ledgers can fail: ledgers with one fault each, and the facts that find it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Batch, Fenced, Message, Partition, Receipt
from stockifyd.testing import LedgerContract, MemoryLedger, MemoryStore, SinkContract
from stockifyd.testing.memory import Commit
from unit.testing.catching import Hooks, failures


class NoSwap(MemoryLedger):
    """Compares nothing."""

    def _compare(self, partition: Partition, span: Any) -> None:
        pass


class NoEpoch(MemoryLedger):
    """Compares the base, not the owner."""

    def _compare(self, partition: Partition, span: Any) -> None:
        if self.store.next[partition] != span.base:
            raise Fenced("not at base")


class RowsFirst(MemoryLedger):
    """Rows in a transaction of their own."""

    async def write(self, batch: Batch) -> Receipt:
        self.store.commit(Commit(replace(batch, advance={}, rejected=())))
        return await super().write(replace(batch, tables={}))


class LettersFirst(MemoryLedger):
    """Dead letters in a transaction of their own."""

    async def write(self, batch: Batch) -> Receipt:
        self.store.commit(Commit(Batch((), rejected=batch.rejected)))
        return await super().write(replace(batch, rejected=()))


class DropsLetters(MemoryLedger):
    """Stores no dead letters."""

    async def write(self, batch: Batch) -> Receipt:
        return await super().write(replace(batch, rejected=()))


class StartsAnew(MemoryLedger):
    """Takes the start for the truth."""

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        self.store.next.update(starts)
        return await super().claim(starts)


class LooksAndOwns(MemoryLedger):
    """Fences whoever it looks at."""

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        self.store.epochs.update({p: self.store.epochs.get(p, 0) + 1 for p in partitions})
        return await super().stored(partitions)


class SkipsEmpty(MemoryLedger):
    """Thinks that without messages there is nothing to do."""

    async def write(self, batch: Batch) -> Receipt:
        return await super().write(batch) if batch.messages else Receipt()


class OneForAll(MemoryLedger):
    """One ledger for every consumer."""

    @property
    def store(self) -> MemoryStore:
        return MemoryStore.named(self.config.store)


class ForgetsTheCluster(MemoryLedger):
    """Files by topic and number alone."""

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        found = await super().claim({p._replace(cluster=""): start for p, start in starts.items()})
        return {p: found[p._replace(cluster="")] for p in starts}


class SkipsAnything(MemoryLedger):
    """Moves over a gap without looking where it stands."""

    async def skip(self, partition: Partition, span: Any, reason: str) -> None:
        self.store.commit(Commit(Batch((), advance={partition: span})))


class KnowsEverything(MemoryLedger):
    """Recognises any message."""

    async def recognise(self, messages: Sequence[Message]) -> None:
        pass


LEDGERS: list[tuple[type[Any], set[str]]] = [
    (MemoryLedger, set()),
    (NoSwap, {"a_wrong_base_is_fenced", "a_batch_is_written_once", "a_second_owner_fences_the_first", "writing_twice"}),
    (NoEpoch, {"a_second_owner_fences_the_first", "what_was_never_claimed_is_fenced"}),
    (RowsFirst, {"a_wrong_base_is_fenced", "one_fenced_partition_fences_the_batch"}),
    (LettersFirst, {"a_wrong_base_is_fenced", "a_batch_is_written_once"}),
    (DropsLetters, {"dead_letters_are_stored_with_the_rows", "dead_letters_alone"}),
    (StartsAnew, {"a_later_claim_answers_what_is_stored"}),
    (LooksAndOwns, {"looking_owns_nothing"}),
    (SkipsEmpty, {"an_advance_without_messages", "dead_letters_alone"}),
    (OneForAll, {"each_consumer_has_its_own_offsets"}),
    (ForgetsTheCluster, {"each_cluster_has_its_own_offsets"}),
    (SkipsAnything, {"a_gap_from_a_wrong_base"}),
    (KnowsEverything, {"a_topic_made_anew"}),
]


@pytest.mark.parametrize(("faulty", "caught"), LEDGERS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_ledger_is_caught(faulty: type[Any], caught: set[str], tmp_path: Path) -> None:
    """The facts that must fail do; of a sound ledger none does."""

    class Contract(Hooks, LedgerContract[Any]):
        sink = faulty

    failed = failures(Contract(), tmp_path)
    assert caught <= failed if caught else failed == set()


def test_a_ledger_takes_the_ledger_contract() -> None:
    """A ledger sink under the plain contract would be tested for half of what it promises: refused, with the cure."""
    with pytest.raises(TypeError, match=r"HINT: take LedgerContract\[MemoryLedger\]"):
        type("Wrong", (SinkContract,), {"sink": MemoryLedger})
