"""What is remembered of rows found: bounded, for a while, and never what was not found."""
# what is expected stands first in an assert

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stockifyd_postgres.remembered import Remembered


class Clock:
    """A clock whose hands are put by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_row_is_known_for_its_time() -> None:
    """And not at the end of it."""
    clock = Clock()
    remembered = Remembered(10, 60, clock)
    remembered.remember({(1,): ("a",)})
    clock.now += 59.9
    assert {(1,): ("a",)} == remembered.known([(1,), (2,)])
    clock.now += 0.1
    assert ({}, 0) == (remembered.known([(1,)]), len(remembered))


def test_what_was_not_used_the_longest_goes_first() -> None:
    """Asking for a row is using it."""
    remembered = Remembered(2, 60, Clock())
    remembered.remember({(1,): ("a",), (2,): ("b",)})
    remembered.known([(1,)])
    remembered.remember({(3,): ("c",)})
    assert {(1,): ("a",), (3,): ("c",)} == remembered.known([(1,), (2,), (3,)])


def test_nothing_is_remembered_for_no_time() -> None:
    """`cache_secs: 0`."""
    remembered = Remembered(2, 0, Clock())
    remembered.remember({(1,): ("a",)})
    assert 0 == len(remembered)


@given(st.integers(1, 5), st.lists(st.lists(st.integers(0, 20), max_size=8), max_size=20))
def test_there_are_never_more_than_allowed(max_rows: int, batches: list[list[int]]) -> None:
    """However many are found, and what is known is what was found."""
    remembered = Remembered(max_rows, 60, Clock())
    for batch in batches:
        remembered.remember({(n,): (f"row {n}",) for n in batch})
        assert len(remembered) <= max_rows
        assert all((f"row {key[0]}",) == row for key, row in remembered.known([(n,) for n in range(21)]).items())
