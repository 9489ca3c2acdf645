"""Where a bounded reading ends."""

from __future__ import annotations

from stockifyd_kafka.ending import Ending


def test_without_an_end_nothing_is_behind_it() -> None:
    """Nor is it ever reached, also where no partition is ours."""
    ending = Ending[int](is_bounded=False)
    assert (7, False, False) == (ending.cut(1, 7), ending.is_behind(1, 7), ending.is_reached({}))


def test_what_is_behind_the_end() -> None:
    """The stop itself is the first offset that is not read."""
    ending = Ending(is_bounded=True, stops={1: 5})
    assert [(4, False), (5, True), (5, True)] == [(ending.cut(1, at), ending.is_behind(1, at)) for at in (4, 5, 9)]


def test_it_is_reached_when_all_partitions_are_at_theirs() -> None:
    """One that lags keeps it open; a member without partitions has nothing to read."""
    ending = Ending(is_bounded=True, stops={1: 5, 2: 0})
    assert [False, True, True] == [ending.is_reached(at) for at in ({1: 4, 2: 0}, {1: 6, 2: 0}, {})]
    assert {2} == ending.done({1: 4, 2: 0})
