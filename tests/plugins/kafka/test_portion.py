"""How much one fetch unpacks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd_kafka.portion import MOST_RECORDS, READ_BYTES, Portion

HUGE = bytes(32 * 2**20)


def fetched(portion: Portion, *partitions: Sequence[bytes | None]) -> list[int]:
    """How many of each partition's values one fetch takes, as aiokafka's fetcher goes about it."""
    limit: int = portion.begin()
    taken: list[int] = []
    for values in partitions:
        drained: list[bytes | None] = []
        for value in values:
            drained.append(portion.weigh(value))
            if len(drained) >= limit:
                break
        assert list(values[: len(drained)]) == drained
        taken.append(len(drained))
        limit -= len(drained)
        if limit == 0:
            break
    return taken


@pytest.mark.parametrize(("size", "records"), [(171_000, 25), (200, MOST_RECORDS), (5 * 2**20, 1), (0, MOST_RECORDS)])
def test_a_fetch_takes_what_fits(size: int, records: int) -> None:
    """About READ_BYTES, at least one record, at most MOST_RECORDS; the first fetch as the tenth."""
    portion = Portion()
    assert [[records]] * 10 == [fetched(portion, [bytes(size)] * 10_000) for _ in range(10)]


def test_huge_records_do_not_come_together() -> None:
    """Behind one the fetch ends, though those before it were small; after them small ones come as ever."""
    portion = Portion()
    assert [11] == fetched(portion, [*[b"small"] * 10, HUGE, HUGE])
    assert [1] == fetched(portion, [HUGE, b"small"])
    assert [MOST_RECORDS] == fetched(portion, [b"small"] * 10_000)


def test_partitions_share_a_portion() -> None:
    """What one partition leaves the next one has; behind a full portion nothing is taken."""
    assert [10, 15] == fetched(Portion(), [bytes(171_000)] * 10, [bytes(171_000)] * 100, [b""])
    assert [1] == fetched(Portion(), [HUGE], [b""])


def test_whether_it_was_full() -> None:
    """A fetch that stopped because it was full may have left some; one that found no more has not."""
    portion = Portion()
    assert (portion <= 0) is False
    portion.weigh(None)
    portion.weigh(b"")
    assert (portion <= 2) is False
    portion.weigh(bytes(READ_BYTES))
    assert (portion <= 3) is True
    assert (portion.begin() <= MOST_RECORDS) is True


@given(st.lists(st.sampled_from([0, 1, 200, 171_000, 2**20, READ_BYTES, 3 * READ_BYTES]), max_size=120))
def test_every_record_is_taken(sizes: list[int]) -> None:
    """Whatever the sizes, reading goes forward, and no fetch brings more than READ_BYTES and one record."""
    portion, values, at = Portion(), [bytes(size) for size in sizes], 0
    while at < len(values):
        [took] = fetched(portion, values[at:])
        assert took
        assert sum(map(len, values[at : at + took - 1])) < READ_BYTES
        at += took
