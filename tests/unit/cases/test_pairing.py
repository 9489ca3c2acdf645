"""Which of the expected belongs to which of those found."""

from collections.abc import Sequence
from itertools import combinations, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from stockifyd.cases import pairing
from stockifyd.cases.pairing import Pair, in_any_order, in_order

WORDS = st.lists(st.sampled_from("abc"), max_size=6)


def alike(pairs: Sequence[Pair], left: Sequence[object], right: Sequence[object]) -> int:
    return sum(i is not None and j is not None and left[i] == right[j] for i, j in pairs)


def longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """By trying all."""
    return max(
        size
        for size in range(min(len(left), len(right)) + 1)
        if {tuple(c) for c in combinations(left, size)} & {tuple(c) for c in combinations(right, size)}
    )


@given(WORDS, WORDS)
def test_in_order(left: list[str], right: list[str]) -> None:
    """Everything is in one pair, in order on both sides, and as many are alike as can be."""
    pairs = in_order(lambda i, j: left[i] == right[j], len(left), len(right))
    assert [i for i, _ in pairs if i is not None] == list(range(len(left)))
    assert [j for _, j in pairs if j is not None] == list(range(len(right)))
    assert alike(pairs, left, right) == longest_common(left, right)


def test_a_row_more_moves_no_other() -> None:
    """Where one row is there more, it alone is."""
    assert in_order(lambda i, j: "bcd"[i] == "abcd"[j], 3, 4) == [(None, 0), (0, 1), (1, 2), (2, 3)]


def test_many_rows_are_compared_by_number() -> None:
    """Too many to compare each with each: beside each other, from the first that differs to the last."""
    size = 1 + int(pairing.MOST_COMPARED**0.5)
    pairs = in_order(lambda _i, _j: False, size, size)
    assert pairs == [(n, n) for n in range(size)]


@settings(max_examples=200)
@given(st.integers(0, 5), st.integers(0, 5), st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_in_any_order(left: int, right: int, fits: set[tuple[int, int]]) -> None:
    """Everything is in one pair, and as many fit as any assignment gives: the first that fits is not always the right one."""
    pairs = in_any_order(lambda i, j: (i, j) in fits, lambda _i, _j: 0, left, right)
    assert sorted(i for i, _ in pairs if i is not None) == list(range(left))
    assert sorted(j for _, j in pairs if j is not None) == list(range(right))
    padded = [*range(right), *[-1] * left]
    best = max(sum((i, j) in fits for i, j in enumerate(order[:left])) for order in set(permutations(padded, left)))
    assert sum(pair in fits for pair in pairs) == best


def test_what_is_left_is_beside_the_nearest() -> None:
    """Of those that fit nobody, each is shown beside the one that has most of it; beside none where none has anything."""
    left, right = ["xy", "zz"], ["qq", "xq"]
    pairs = in_any_order(lambda _i, _j: False, lambda i, j: len(set(left[i]) & set(right[j])), 2, 2)
    assert pairs == [(0, 1), (1, None), (None, 0)]
