"""Cutting batches: nothing is lost, spans meet, rows stay with their messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Batch, Component, DeadLetter, Drift, Message, Partition, Position, Receipt, Reject, Span
from stockifyd.runtime.isolation import believable, halve, index_of, lacking, marked, parts, take_out, take_out_named
from stockifyd.testing import MemoryLedger, MemorySink, make
from unit.runtime.pipelines import context

PARTITIONS = [Partition("t", n) for n in range(3)]


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Consecutive messages of three partitions with holes between, some rejected, one or more rows each."""
    offsets = dict.fromkeys(PARTITIONS, 0)
    base: dict[Partition, int] = {}
    messages, rejected = [], []
    for which, hole, is_rejected in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=24)):
        partition = PARTITIONS[which]
        base.setdefault(partition, offsets[partition])
        offset = offsets[partition] + hole
        offsets[partition] = offset + 1
        message = Message(Position(partition, offset), b"x")
        (rejected if is_rejected and draw(st.booleans()) else messages).append(message)
    ends = {p: offsets[p] + draw(st.integers(0, 2)) for p in base}
    each = draw(st.integers(0, 3))
    batch = Batch(tuple(messages), rejected=tuple(DeadLetter(m, "no") for m in rejected))
    batch = replace(batch, advance={p: Span(0, ends[p]) for p in base})
    return batch.flatten("rows", ("p", "o"), lambda m: [(m.position.partition.number, m.position.offset)] * each)


def everything(*some: Batch) -> list[object]:
    return [m.position for b in some for m in b.messages]


@given(batches())
def test_halves_hold_all_messages_rows_and_letters(batch: Batch) -> None:
    """Both halves together are the whole."""
    if len(batch.messages) < 2:
        return
    first, second = halve(batch)
    assert everything(first, second) == everything(batch)
    assert [*first.tables["rows"].rows, *second.tables["rows"].rows] == batch.tables["rows"].rows
    assert {letter.message.position for letter in (*first.rejected, *second.rejected)} == {
        letter.message.position for letter in batch.rejected
    }


@given(batches())
def test_spans_of_parts_are_a_chain_that_covers_their_messages(batch: Batch) -> None:
    """Each part begins where the one before ended, and holds only what is inside its spans."""
    at = {p: span.base for p, span in batch.advance.items()}
    for part in parts(batch, 2):
        for partition, span in part.advance.items():
            assert at[partition] == span.base
            at[partition] = span.next
        for position in [*(m.position for m in part.messages), *(letter.message.position for letter in part.rejected)]:
            span = part.advance[position.partition]
            assert span.base <= position.offset < span.next
    assert at == {p: span.next for p, span in batch.advance.items()}


@given(batches(), st.integers(0, 30))
def test_lacking_is_all_from_what_is_stored(batch: Batch, stored: int) -> None:
    """A ledger ahead of the batch gets neither the messages nor the letters that it has."""
    ledger = {PARTITIONS[0]: stored}
    rest = lacking(batch, ledger)
    kept = [m for m in batch.messages if m.position.partition != PARTITIONS[0] or m.position.offset >= stored]
    assert list(rest.messages) == kept
    for partition, span in rest.advance.items():
        assert span.base == max(batch.advance[partition].base, ledger.get(partition, 0))


@given(batches(), st.integers(0, 40))
def test_named_row_takes_its_message_out(batch: Batch, row: int) -> None:
    """And the dead letter says which row of the message it was."""
    rows = batch.tables["rows"].rows
    if row >= len(rows):
        return
    smaller = take_out_named(batch, Reject("bad", table="rows", row=row, code="22003"), "sink")
    assert smaller is not None
    letter = smaller.rejected[-1]
    assert (letter.message.position.partition.number, letter.message.position.offset) == rows[row]
    assert (letter.stage, letter.code) == ("sink", "22003")
    assert len(smaller.messages) == len(batch.messages) - 1


def test_reject_without_a_name_needs_a_search() -> None:
    """Several messages and no row: None; one message: it is the one; none: the sink drifts."""
    one, two = Message(Position(PARTITIONS[0], 0), b""), Message(Position(PARTITIONS[0], 1), b"")
    assert take_out_named(Batch((one, two)), Reject("bad"), "s") is None
    alone = take_out_named(Batch((one,)), Reject("bad"), "s")
    assert alone is not None
    assert alone.messages == ()
    with pytest.raises(Drift, match="without messages"):
        take_out_named(Batch(()), Reject("bad"), "s")


def test_marks_name_the_stage_of_new_letters_only() -> None:
    """Letters of earlier stages keep their names."""
    old = DeadLetter(Message(Position(PARTITIONS[0], 0), b""), "x", "first")
    new = DeadLetter(Message(Position(PARTITIONS[0], 1), b""), "y")
    assert [letter.stage for letter in marked(Batch((), rejected=(old, new)), 1, "second").rejected] == ["first", "second"]


def test_letters_are_found_by_position() -> None:
    """Two sinks that refuse the same message make one dead letter of it."""
    messages = tuple(Message(Position(PARTITIONS[0], n), b"") for n in range(3))
    letters = [DeadLetter(messages[1], "a"), DeadLetter(messages[1], "b")]
    batch = Batch(messages)
    assert take_out(batch, index_of(batch, letters)).messages == (messages[0], messages[2])


@pytest.mark.parametrize(
    ("sink", "answer", "told"),
    [
        (MemoryLedger, "all is well", "answered str, which is no Receipt"),
        (MemoryLedger, Receipt(rejected={0: "no"}), "which a ledger sink raises"),
        (MemorySink, Receipt(rejected={1: "no"}), "rejects message 1 of a batch of 1"),
        (MemorySink, Receipt(rejected={"0": "no"}), "rejects message '0' of a batch of 1"),  # type: ignore[dict-item]
    ],
)
def test_what_cannot_be_is_not_believed(sink: type[Component[Any]], answer: Any, told: str) -> None:
    """A sink that answers nonsense halts the pipeline: what it says of other messages may be nonsense too."""
    batch = Batch((Message(Position(PARTITIONS[0], 0), b"x"),))
    with pytest.raises(Drift, match=told):
        believable(answer, batch, make(sink, context("odd"), store="any"))


def test_what_can_be_is_believed() -> None:
    """No receipt, an empty one, one that names a message that is there."""
    batch = Batch((Message(Position(PARTITIONS[0], 0), b"x"),))
    for answer in (None, Receipt(), Receipt(rejected={0: "no"})):
        assert believable(answer, batch, make(MemorySink, context("even"), store="any")) is answer
