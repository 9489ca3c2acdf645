"""What holds, beyond the facts of every sink, of one that keeps offsets with its rows: exactly once."""
# ruff: noqa: PLR2004, SIM300  # what is expected stands first in an assert

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from stockifyd.api import Batch, Drift, Fenced, LedgerSink, Partition, Reject, Span
from stockifyd.testing.contracts.ledger_trouble import LedgerTrouble
from stockifyd.testing.facts import fact
from stockifyd.testing.making import PARTITION, make_message

L = TypeVar("L", bound=LedgerSink[Any])

OTHER = Partition(PARTITION.topic, 1)


class LedgerContract(LedgerTrouble[L]):
    """Subclass it like SinkContract; `dead_letters(sink)` comes on top."""

    @fact
    async def test_a_first_claim_stores_where_to_start(self, tmp_path: Path) -> None:
        """A partition never seen is stored at its start, durably, before `claim` answers."""
        async with self.opened(tmp_path) as sink:
            assert {PARTITION: 7} == dict(await sink.claim({PARTITION: 7}))
        async with self.opened(tmp_path) as another:
            assert 7 == await self.at(another)

    @fact
    async def test_a_later_claim_answers_what_is_stored(self, tmp_path: Path) -> None:
        """A start is for a partition that nobody knows; what is stored wins."""
        async with self.opened(tmp_path) as sink:
            await sink.claim({PARTITION: 0})
            await sink.write(self.batch(3))
        async with self.opened(tmp_path) as another:
            assert {PARTITION: 3, OTHER: 5} == dict(await another.claim({PARTITION: 0, OTHER: 5}))

    @fact
    async def test_offsets_move_with_the_rows(self, tmp_path: Path) -> None:
        """After a write, rows and next offset are both there."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(self.batch(3))
            assert (3, 3) == (await self.at(sink), len(await self.rows(sink)))

    @fact
    async def test_an_advance_without_messages(self, tmp_path: Path) -> None:
        """A partition moves over offsets that hold no message (control records), also when there is no table at all."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(Batch((), advance={PARTITION: Span(0, 4)}))
            assert 4 == await self.at(sink)

    @fact
    async def test_a_wrong_base_is_fenced(self, tmp_path: Path) -> None:
        """A batch that does not begin where the ledger stands leaves nothing: no row, no dead letter, no offset."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            for first in (1, 5):
                with pytest.raises(Fenced):
                    await sink.write(self.batch(3, first=first).reject({0: "bad"}))
            assert (0, [], []) == (await self.at(sink), await self.rows(sink), await self.letters(sink))

    @fact
    async def test_a_batch_is_written_once(self, tmp_path: Path) -> None:
        """The second write of a batch is fenced, and its rows and dead letters are there once."""
        batch = self.batch(3).reject({1: "bad"})
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(batch)
            with pytest.raises(Fenced):
                await sink.write(batch)
            assert ([self.row(0), self.row(2)], [(1, "bad")]) == (await self.rows(sink), await self.letters(sink))

    @fact
    async def test_a_second_owner_fences_the_first(self, tmp_path: Path) -> None:
        """Who claims last owns: the earlier owner's write is fenced and leaves nothing; the later one's goes through."""
        async with self.opened(tmp_path) as first, self.opened(tmp_path) as second:
            await self.ready(first)
            await self.ready(second)
            with pytest.raises(Fenced):
                await first.write(self.batch(2))
            assert [] == await self.rows(second)
            await second.write(self.batch(3))
            assert self.expected(self.batch(3)) == await self.rows(second)

    @fact
    async def test_what_was_never_claimed_is_fenced(self, tmp_path: Path) -> None:
        """A write to a partition that this sink never claimed leaves nothing, even where the base is right."""
        async with self.opened(tmp_path) as owner, self.opened(tmp_path) as stranger:
            await self.ready(owner)
            with pytest.raises(Fenced):
                await stranger.write(self.batch(2))
            assert (0, []) == (await self.at(owner), await self.rows(owner))

    @fact
    async def test_one_fenced_partition_fences_the_batch(self, tmp_path: Path) -> None:
        """Of a batch over two partitions, of which one is not where it should be, nothing is stored."""
        batch = self.batch(2)
        async with self.opened(tmp_path) as sink:
            await sink.claim({PARTITION: 0, OTHER: 0})
            with pytest.raises(Fenced):
                await sink.write(replace(batch, advance={**batch.advance, OTHER: Span(6, 9)}))
            assert (0, 0, []) == (await self.at(sink), await self.at(sink, OTHER), await self.rows(sink))

    @fact
    async def test_dead_letters_are_stored_with_the_rows(self, tmp_path: Path) -> None:
        """Rejected messages are stored with offset and reason, beside the rows of their neighbours."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(self.batch(4).reject({1: "bad", 3: "worse"}))
            assert ([(1, "bad"), (3, "worse")], 4) == (await self.letters(sink), await self.at(sink))

    @fact
    async def test_dead_letters_alone(self, tmp_path: Path) -> None:
        """A batch of rejected messages alone stores them and moves the offset, whatever bytes they are."""
        message = make_message(0, b"\x00\xff not text \xc3")
        batch = Batch((message,), self.batch(1, 0).tables, advance={PARTITION: Span(0, 1)}).reject({0: "bad"})
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(batch)
            assert ([(0, "bad")], 1) == (await self.letters(sink), await self.at(sink))

    @fact
    async def test_any_reason_is_taken(self, tmp_path: Path) -> None:
        """Whatever the reason of a dead letter says, it is stored (changed, where it must be), and the offset moves."""
        batch = self.batch(4).reject({0: "", 1: "bad \x00 \ud800", 2: "नमस्ते 🎉\n" * 2, 3: "x" * 50_000})
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(batch)
            assert ([0, 1, 2, 3], 4) == ([offset for offset, _ in await self.letters(sink)], await self.at(sink))

    @fact
    async def test_two_partitions_in_one_batch(self, tmp_path: Path) -> None:
        """A batch moves each of its partitions as far as its own span says."""
        async with self.opened(tmp_path) as sink:
            await sink.claim({PARTITION: 0, OTHER: 7})
            batch = self.batch(2)
            await sink.write(replace(batch, advance={**batch.advance, OTHER: Span(7, 9)}))
            assert (2, 9) == (await self.at(sink), await self.at(sink, OTHER))

    @fact
    async def test_looking_owns_nothing(self, tmp_path: Path) -> None:
        """`stored` fences nobody, and says nothing of a partition that nobody claimed."""
        async with self.opened(tmp_path) as owner, self.opened(tmp_path) as onlooker:
            await self.ready(owner)
            assert {PARTITION: 0} == dict(await onlooker.stored([PARTITION, OTHER]))
            await owner.write(self.batch(2))
            assert {PARTITION: 2} == dict(await onlooker.stored([PARTITION]))

    @fact
    async def test_each_consumer_has_its_own_offsets(self, tmp_path: Path) -> None:
        """Another consumer starts where it says, and fences nobody."""
        async with self.opened(tmp_path) as sink, self.opened(tmp_path, consumer="another") as other:
            await self.ready(sink)
            await sink.write(self.batch(3))
            assert {PARTITION: 1} == dict(await other.claim({PARTITION: 1}))
            await sink.write(self.batch(3, first=3))
            assert (6, 1) == (await self.at(sink), await self.at(other))

    @fact
    async def test_each_cluster_has_its_own_offsets(self, tmp_path: Path) -> None:
        """A topic of the same name in another cluster is another topic."""
        elsewhere = PARTITION._replace(cluster="elsewhere")
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(self.batch(3))
            assert {elsewhere: 1} == dict(await sink.claim({elsewhere: 1}))
            assert 3 == await self.at(sink)

    @fact
    async def test_a_bad_row_moves_nothing(self, tmp_path: Path) -> None:
        """A ledger sink says Reject of a bad row, never a receipt, and its offset stays."""
        bad = self.bad_row()
        if bad is None:
            pytest.skip(f"{type(self).__name__} gives no bad_row")
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            with pytest.raises(Reject):
                await sink.write(self.with_rows(self.batch(3), [self.row(0), bad, self.row(2)]))
            assert (0, []) == (await self.at(sink), await self.rows(sink))

    @fact
    async def test_messages_stored_before_are_recognised(self, tmp_path: Path) -> None:
        """The last message stored is what it was: no complaint."""
        batch = self.batch(3)
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(batch)
            await sink.claim({PARTITION: 0})
            await sink.recognise(batch.messages[-1:])

    @fact
    async def test_a_topic_made_anew(self, tmp_path: Path) -> None:
        """Another message where the last one was stored is Drift."""
        if self.sink.recognise is LedgerSink.recognise:
            pytest.skip("the sink does not override recognise")
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            await sink.write(self.batch(3))
            await sink.claim({PARTITION: 0})
            with pytest.raises(Drift):
                await sink.recognise([make_message(2, b"quite another")])

    @fact
    async def test_a_gap(self, tmp_path: Path) -> None:
        """Lost offsets are skipped by their owner, from where the ledger stands; or refused as Drift."""
        async with self.opened(tmp_path) as sink:
            await self.ready(sink)
            expected = 5
            try:
                await sink.skip(PARTITION, Span(0, 5), "retention")
            except Drift:
                expected = 0
            assert expected == await self.at(sink)

    @fact
    async def test_a_gap_from_a_wrong_base(self, tmp_path: Path) -> None:
        """Nothing is skipped from where the ledger does not stand, nor by who is no owner."""
        async with self.opened(tmp_path) as former, self.opened(tmp_path) as sink:
            await self.ready(former)
            await self.ready(sink)
            for who, base in ((sink, 2), (former, 0)):
                with pytest.raises((Fenced, Drift)):
                    await who.skip(PARTITION, Span(base, 5), "retention")
            assert 0 == await self.at(sink)
