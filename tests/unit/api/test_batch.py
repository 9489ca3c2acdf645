"""The arithmetic of batches: from a row to its message and back, whatever is taken out."""
# what is expected stands first in an assert

from itertools import accumulate

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Batch, Message, Partition, Position, Reject, Row, Span, Table, dead_letter

PARTITION = Partition("market.enriched", 3)


def message(offset: int) -> Message:
    return Message(Position(PARTITION, offset), b"raw %d" % offset, value=offset)


def table(counts: list[int], name: str = "a") -> Table:
    """A table in which each row says its message and its place there."""
    rows: list[Row] = [(name, m, n) for m, count in enumerate(counts) for n in range(count)]
    return Table(("table", "message", "place"), rows, list(accumulate(counts)))


counts = st.lists(st.integers(0, 4), max_size=8)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Up to eight messages with rows in two tables, some already rejected."""
    first, size = draw(st.integers(0, 2**40)), draw(st.integers(0, 8))
    each = st.lists(st.integers(0, 4), min_size=size, max_size=size)
    messages = tuple(message(first + n) for n in range(size))
    tables = {name: table(draw(each), name) for name in ("a", "b")}
    before = (dead_letter(message(first - 1), "before"),)
    return Batch(messages, tables, before, {PARTITION: Span(first - 1, first + size)})


@given(counts)
def test_a_row_belongs_to_one_message(each: list[int]) -> None:
    """`message_of` finds the owner of every row, past messages without rows."""
    made = table(each)
    assert [row[1] for row in made.rows] == [made.message_of(n) for n in range(len(made.rows))]


@given(counts)
def test_rows_of_all_messages_are_all_rows(each: list[int]) -> None:
    """`of_message` deals out each row once, in order."""
    made = table(each)
    assert made.rows == [row for m in range(len(each)) for row in made.of_message(m)]


@given(counts)
def test_start_of_a_message_is_where_its_rows_begin(each: list[int]) -> None:
    """`start_of` is the sum of the counts before."""
    made = table(each)
    assert [sum(each[:m]) for m in range(len(each))] == [made.start_of(m) for m in range(len(each))]


@given(counts, st.data())
def test_keep_keeps_those_messages_alone(each: list[int], data: st.DataObject) -> None:
    """The rows of kept messages, in order, each still found by its new index."""
    kept = sorted(data.draw(st.sets(st.sampled_from(range(len(each)))))) if each else []
    made = table(each)
    after = made.keep(kept)
    assert [made.of_message(m) for m in kept] == [after.of_message(n) for n in range(len(kept))]
    assert sum(each[m] for m in kept) == len(after.rows)


@given(counts)
def test_column_and_dicts_agree_with_rows(each: list[int]) -> None:
    """A column is one value of each row; a dict has them all by name."""
    made = table(each)
    assert [row[2] for row in made.rows] == made.column("place")
    assert [dict(zip(made.columns, row, strict=True)) for row in made.rows] == list(made.dicts())


@given(counts.filter(any))
def test_select_takes_columns_in_the_order_asked(each: list[int]) -> None:
    """Columns are picked and reordered; rows and messages stay."""
    made = table(each)
    after = made.select(["place", "table"])
    assert (("place", "table"), [(row[2], row[0]) for row in made.rows], made.ends) == (after.columns, after.rows, after.ends)


def test_select_of_a_column_that_is_not_there() -> None:
    """An unknown column is an error, not an empty table."""
    with pytest.raises(ValueError, match="not in tuple"):
        table([1]).select(["nothing"])


@given(batches(), st.data())
def test_reject_takes_whole_messages_out(batch: Batch, data: st.DataObject) -> None:
    """A rejected message is in no table and in no list of messages, once among the dead letters; neighbours are whole."""
    size = len(batch.messages)
    refused = data.draw(st.sets(st.sampled_from(range(size)))) if size else set()
    after = batch.reject(dict.fromkeys(refused, "bad"))
    kept = [n for n in range(size) if n not in refused]
    assert tuple(batch.messages[n] for n in kept) == after.messages
    for name, made in batch.tables.items():
        assert [made.of_message(n) for n in kept] == [after.tables[name].of_message(n) for n in range(len(kept))]
    assert [batch.messages[n] for n in sorted(refused)] == [letter.message for letter in after.rejected[1:]]
    assert (batch.rejected, batch.advance) == (after.rejected[:1], after.advance)


@given(batches(), st.data())
def test_rejecting_in_two_steps_is_rejecting_at_once(batch: Batch, data: st.DataObject) -> None:
    """The order of rejections changes nothing but the order of the dead letters."""
    size = len(batch.messages)
    refused = sorted(data.draw(st.sets(st.sampled_from(range(size))))) if size else []
    at_once = batch.reject(dict.fromkeys(refused, "bad"))
    steps = batch
    for done, index in enumerate(refused):
        steps = steps.reject({index - done: "bad"})
    assert at_once == steps


@given(batches())
def test_rejecting_nothing_is_nothing(batch: Batch) -> None:
    """Without a reason the batch is the same object."""
    assert batch is batch.reject({})


@given(batches(), st.data())
def test_keep_of_a_batch(batch: Batch, data: st.DataObject) -> None:
    """Messages and rows are kept together; dead letters and advance stay."""
    size = len(batch.messages)
    kept = sorted(data.draw(st.sets(st.sampled_from(range(size))))) if size else []
    after = batch.keep(kept)
    assert (tuple(batch.messages[n] for n in kept), batch.rejected, batch.advance) == (
        after.messages,
        after.rejected,
        after.advance,
    )
    assert sum(len(t.of_message(n)) for t in batch.tables.values() for n in kept) == after.row_count


@given(batches(), st.lists(st.integers(-1, 3), min_size=8, max_size=8))
def test_flatten_with_rejections(batch: Batch, plan: list[int]) -> None:
    """A new table has the rows that `rows_of` gave; a message that it rejects leaves every table."""
    size, first = len(batch.messages), batch.messages[0].position.offset if batch.messages else 0

    def rows_of(each: Message) -> list[Row]:
        count = plan[each.position.offset - first]
        if count < 0:
            raise Reject("bad", code="22P02")
        return [(each.position.offset, n) for n in range(count)]

    after = batch.flatten("c", ("offset", "n"), rows_of)
    kept = [n for n in range(size) if plan[n] >= 0]
    assert [[(first + n, place) for place in range(plan[n])] for n in kept] == [
        after.tables["c"].of_message(i) for i in range(len(kept))
    ]
    assert [batch.tables["a"].of_message(n) for n in kept] == [after.tables["a"].of_message(i) for i in range(len(kept))]
    assert ["22P02"] * (size - len(kept)) == [letter.code for letter in after.rejected[1:]]


def test_flatten_takes_a_half_made_message_back() -> None:
    """Rows that a generator gave before it raised Reject are not in the table: a chain is never stored in part."""

    def rows_of(each: Message) -> object:
        yield (each.value,)
        if each.value == 1:
            raise Reject("bad second row")

    after = Batch((message(0), message(1), message(2))).flatten("a", ("value",), rows_of)  # type: ignore[arg-type]
    assert [(0,), (2,)] == after.tables["a"].rows


@given(batches())
def test_map_replaces_values_and_rejects_alone(batch: Batch) -> None:
    """Values change, the rest of a message does not; a message that is refused takes no neighbour along."""

    def odd(each: Message) -> int:
        if each.position.offset % 2:
            raise Reject("odd")
        return each.position.offset * 10

    after = batch.map(odd)
    even = [m for m in batch.messages if m.position.offset % 2 == 0]
    assert [msgspec.structs.replace(m, value=m.position.offset * 10) for m in even] == list(after.messages)
    assert len(batch.messages) - len(even) == len(after.rejected) - 1


def test_map_lets_other_errors_out() -> None:
    """Only Reject makes a dead letter: a bug in a transform is no fault of the data."""
    with pytest.raises(ZeroDivisionError):
        Batch((message(0),)).map(lambda m: 1 // m.value)


def test_with_table_leaves_the_batch_as_it_was() -> None:
    """A batch is immutable: the table is in the new one."""
    batch = Batch((message(0),))
    after = batch.with_table("a", table([1]))
    assert ({}, ["a"]) == (batch.tables, list(after.tables))


def test_a_dead_letter_of_a_reject_has_its_code() -> None:
    """The far side's own code goes with the reason."""
    letter = dead_letter(message(0), Reject("too big", code="22003"))
    assert ("too big", "22003") == (letter.reason, letter.code)


def test_a_partition_of_another_cluster_is_another() -> None:
    """Topics of the same name in two clusters are two keys of a ledger."""
    assert Partition("t", 0, "x") != Partition("t", 0, "y")
