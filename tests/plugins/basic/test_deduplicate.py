"""Which rows `deduplicate` leaves out, and which it never does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Batch, Drift, Message, Partition, Position, Table
from stockifyd.testing import PARTITION, TransformContract, make
from stockifyd_basic import Deduplicate

Keyed = list[tuple[Partition, int, list[int]]]


def batch_of(messages: Keyed) -> Batch:
    """Messages by partition and offset, each with rows of these keys; the row says where it came from."""
    rows, ends = list[tuple[Any, ...]](), list[int]()
    for partition, offset, keys in messages:
        rows += [(key, f"{partition.number}/{offset}") for key in keys]
        ends.append(len(rows))
    made = tuple(Message(Position(partition, offset), b"") for partition, offset, _ in messages)
    return Batch(made, {"ticks": Table(("key", "from"), rows, ends)})


def passed(transform: Deduplicate, messages: Keyed) -> list[tuple[Any, ...]]:
    after = transform.apply(batch_of(messages))
    assert isinstance(after, Batch)
    return after.tables["ticks"].rows


def fresh(**options: Any) -> Deduplicate:
    return make(Deduplicate, table="ticks", key=["key"], **options)


class TestContract(TransformContract[Deduplicate]):
    """It keeps the contract of transforms."""

    transform = Deduplicate

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"table": "ticks", "key": ["key"], "window_max_keys": 3}

    def batch(self) -> Batch:
        return batch_of([(PARTITION, 0, [1, 2, 1]), (PARTITION, 1, [2, 3]), (PARTITION, 2, [4, 5, 1]), (PARTITION, 3, [5])])


def test_a_key_that_came_before_is_left_out() -> None:
    """In the same message, in the same batch and in a later one."""
    transform = fresh()
    assert [(1, "0/0"), (2, "0/1")] == passed(transform, [(PARTITION, 0, [1, 1]), (PARTITION, 1, [1, 2])])
    assert [(3, "0/2")] == passed(transform, [(PARTITION, 2, [2, 3, 1])])


def test_what_comes_again_goes_on_again() -> None:
    """After a rewind the same messages come again: nothing of them is taken for a duplicate, and what was one is one again."""
    transform, messages = fresh(), [(PARTITION, 4, [1, 2]), (PARTITION, 5, [1, 3])]
    first = passed(transform, messages)
    assert (first, [(1, "0/4"), (2, "0/4"), (3, "0/5")]) == (passed(transform, messages), first)


def test_an_older_message_goes_on() -> None:
    """A rewind beyond what is remembered: the older message goes on, and the younger is the duplicate then."""
    transform = fresh()
    passed(transform, [(PARTITION, 7, [1])])
    assert [(1, "0/5")] == passed(transform, [(PARTITION, 5, [1]), (PARTITION, 7, [1])])


def test_partitions_are_not_compared() -> None:
    """Another instance may have the other partition tomorrow, and remembers nothing of this one."""
    assert [(1, "0/0"), (1, "1/0")] == passed(fresh(), [(PARTITION, 0, [1]), (PARTITION._replace(number=1), 0, [1])])


def test_the_oldest_key_is_forgotten() -> None:
    """The window holds so many keys of a partition."""
    transform = fresh(window_max_keys=2)
    assert [1, 2, 3, 1] == [key for key, _ in passed(transform, [(PARTITION, n, [k]) for n, k in enumerate([1, 2, 2, 3, 3, 1])])]


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.lists(st.integers(0, 4), max_size=4)),
        max_size=12,
    ),
    st.integers(1, 4),
    st.lists(st.integers(0, 11), max_size=4),
)
def test_no_key_is_ever_lost(dealt: list[tuple[int, list[int]]], window: int, rewinds: list[int]) -> None:
    """However messages are cut into batches and come again: for each row left out, its key is in an earlier one that went on."""
    messages = [(PARTITION._replace(number=number), offset, keys) for offset, (number, keys) in enumerate(dealt)]
    transform = fresh(window_max_keys=window)
    for start in [*rewinds, 0]:
        durable = {(p.number, key) for p, offset, keys in messages if offset < start for key in keys}
        went = {(int(place.partition("/")[0]), key) for key, place in passed(transform, messages[start:])}
        assert {(p.number, key) for p, _, keys in messages[start:] for key in keys} <= went | durable


def test_a_key_of_several_columns() -> None:
    """Rows are the same when they agree in all of them."""
    transform = make(Deduplicate, table="ticks", key=["key", "from"])
    assert 2 == len(passed(transform, [(PARTITION, 0, [1]), (PARTITION, 1, [1])]))


def test_a_key_that_cannot_be_compared() -> None:
    """A list as a key makes its message a dead letter, whole, and is not remembered; neighbours go on."""
    batch = batch_of([(PARTITION, 0, [1]), (PARTITION, 1, [2, 3]), (PARTITION, 2, [2])])
    rows = [(key if key != 3 else [3], place) for key, place in batch.tables["ticks"].rows]
    after = fresh().apply(batch.with_table("ticks", Table(("key", "from"), rows, batch.tables["ticks"].ends)))
    assert isinstance(after, Batch)
    assert [(1, "0/0"), (2, "0/2")] == after.tables["ticks"].rows
    assert ["key: a value of key cannot be compared (a list or an object)"] == [letter.reason for letter in after.rejected]


def test_an_unknown_column() -> None:
    """It is suggested, by `validate` and by the first batch."""
    transform = make(Deduplicate, table="ticks", key=["kye"])
    with pytest.raises(ValueError, match="key: table 'ticks' has no column 'kye'; did you mean 'key'"):
        transform.tables({"ticks": ("key", "from")})
    with pytest.raises(Drift, match="no column 'kye'"):
        transform.apply(batch_of([]))
