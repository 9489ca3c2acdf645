"""Ledgers with one fault each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from stockifyd.api import Batch, Drift, Fenced, Message, Partition, Receipt, Reject, Span
from stockifyd.testing import MemoryLedger, MemoryStore
from stockifyd.testing.memory import Commit
from unit.testing.catching import Faults


class NoSwap(MemoryLedger):
    """Compares nothing."""

    def _compare(self, partition: Partition, span: Span) -> None:
        pass


class NoEpoch(MemoryLedger):
    """Compares the base, not the owner."""

    def _compare(self, partition: Partition, span: Span) -> None:
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
        await asyncio.sleep(0)
        return await super().write(replace(batch, rejected=()))


class OffsetFirst(MemoryLedger):
    """The offset in a transaction of its own, and a moment before the rows."""

    async def write(self, batch: Batch) -> Receipt:
        for partition, span in batch.advance.items():
            self._compare(partition, span)
        self.store.commit(Commit(Batch((), advance=batch.advance)))
        await asyncio.sleep(0)
        return await super().write(replace(batch, advance={}))


class OffsetLater(MemoryLedger):
    """The offset with the next batch."""

    waiting: Mapping[Partition, Span] = {}

    async def write(self, batch: Batch) -> Receipt:
        receipt = await super().write(replace(batch, advance=self.waiting))
        self.waiting = batch.advance
        return receipt


class DropsLetters(MemoryLedger):
    """Stores no dead letters."""

    async def write(self, batch: Batch) -> Receipt:
        return await super().write(replace(batch, rejected=()))


class ChokesOnReasons(MemoryLedger):
    """Cannot store every reason."""

    async def write(self, batch: Batch) -> Receipt:
        for letter in batch.rejected:
            letter.reason.encode()
        return await super().write(batch)


class RejectsInReceipt(MemoryLedger):
    """Names a bad row in its receipt, and moves the offset over it."""

    async def write(self, batch: Batch) -> Receipt:
        try:
            return await super().write(batch)
        except Reject as why:
            bad = batch.tables[why.table].message_of(why.row or 0)
            await super().write(replace(batch.reject({bad: why}), rejected=()))
            return Receipt(rejected={bad: why.reason})


class StartsAnew(MemoryLedger):
    """Takes the start for the truth."""

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        self.store.next.update(starts)
        return await super().claim(starts)


class KeepsStartsToItself(MemoryLedger):
    """Stores no start before something is written."""

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        unknown = set(starts) - set(self.store.next)
        found = dict(await super().claim(starts))
        for partition in unknown:
            del self.store.next[partition]
        return found


class ClaimsOnce(MemoryLedger):
    """Remembers what it once claimed, whoever had it since."""

    def _compare(self, partition: Partition, span: Span) -> None:
        if self.store.next[partition] != span.base:
            raise Fenced("not at base")

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        known = vars(self).setdefault("known", {})
        for partition in set(starts) - set(known):
            known.update(await super().claim({partition: starts[partition]}))
        return {partition: known[partition] for partition in starts}


class LooksAndOwns(MemoryLedger):
    """Fences whoever it looks at."""

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        self.store.epochs.update({p: self.store.epochs.get(p, 0) + 1 for p in partitions})
        return await super().stored(partitions)


class SkipsEmpty(MemoryLedger):
    """Thinks that without messages there is nothing to do."""

    async def write(self, batch: Batch) -> Receipt:
        return await super().write(batch) if batch.messages else Receipt()


class OnePartition(MemoryLedger):
    """Moves the first partition of a batch, and no other."""

    async def write(self, batch: Batch) -> Receipt:
        return await super().write(replace(batch, advance=dict([*batch.advance.items()][:1])))


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

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        self.store.commit(Commit(Batch((), advance={partition: span})))


class SkipsTooFar(MemoryLedger):
    """Moves one offset too far over a gap."""

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        await super().skip(partition, Span(span.base, span.next + 1), reason)


class KnowsEverything(MemoryLedger):
    """Recognises any message."""

    async def recognise(self, messages: Sequence[Message]) -> None:
        pass


class KnowsNothing(MemoryLedger):
    """Recognises no message."""

    async def recognise(self, messages: Sequence[Message]) -> None:
        raise Drift("never seen")


class ClaimsBadly(MemoryLedger):
    """Lets an error of its driver out of `claim`."""

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        if self.store.unreachable:
            raise OSError("no route to host")
        return await super().claim(starts)


FAULTS: Faults = [
    (NoSwap, "a_wrong_base_is_fenced a_batch_is_written_once a_second_owner_fences_the_first writing_twice"),
    (NoEpoch, "a_second_owner_fences_the_first what_was_never_claimed_is_fenced"),
    (RowsFirst, "a_wrong_base_is_fenced one_fenced_partition_fences_the_batch killed_all_or_nothing"),
    (LettersFirst, "a_wrong_base_is_fenced a_batch_is_written_once cut_short_all_or_nothing killed_all_or_nothing"),
    (OffsetFirst, "cut_short_all_or_nothing killed_all_or_nothing killed_while_writing cancelled_while_writing"),
    (OffsetLater, "offsets_move_with_the_rows"),
    (DropsLetters, "dead_letters_are_stored_with_the_rows dead_letters_alone"),
    (ChokesOnReasons, "any_reason_is_taken"),
    (RejectsInReceipt, "a_bad_row_moves_nothing"),
    (StartsAnew, "a_later_claim_answers_what_is_stored"),
    (KeepsStartsToItself, "a_first_claim_stores_where_to_start"),
    (ClaimsOnce, "claims_that_go_and_come_back"),
    (LooksAndOwns, "looking_owns_nothing"),
    (SkipsEmpty, "an_advance_without_messages dead_letters_alone"),
    (OnePartition, "two_partitions_in_one_batch"),
    (OneForAll, "each_consumer_has_its_own_offsets"),
    (ForgetsTheCluster, "each_cluster_has_its_own_offsets"),
    (SkipsAnything, "a_gap_from_a_wrong_base"),
    (SkipsTooFar, "a_gap"),
    (KnowsEverything, "a_topic_made_anew"),
    (KnowsNothing, "messages_stored_before_are_recognised"),
    (ClaimsBadly, "a_claim_on_a_broken_far_side"),
]
