"""Which of the expected belongs to which of those found: in order, or in any order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

Same = Callable[[int, int], bool]
"""Is the i-th expected the j-th found?"""

Pair = tuple[int | None, int | None]
"""One expected beside one found, which may differ; None where there is none."""

Likeness = Callable[[int, int], int]
"""How much of the i-th expected the j-th found has."""

MOST_COMPARED = 40_000
"""Above so many comparisons, rows that differ are put beside each other by their number."""


def in_order(same: Same, expected: int, found: int) -> list[Pair]:
    """Pairs in order: as many alike as there can be; what lies between them differs, or is on one side alone."""
    head = _alike(same, range(min(expected, found)))
    most = min(expected, found) - head
    tail = _alike(lambda i, j: same(expected - 1 - i, found - 1 - j), range(most))
    left, right = range(head, expected - tail), range(head, found - tail)
    anchors = _longest(same, left, right) if len(left) * len(right) <= MOST_COMPARED else []
    pairs: list[Pair] = [(i, i) for i in range(head)]
    i, j = left.start, right.start
    for at, beside in [*anchors, (left.stop, right.stop)]:
        pairs += _beside(range(i, at), range(j, beside))
        i, j = at + 1, beside + 1
        if at < left.stop:
            pairs.append((at, beside))
    return pairs + [(expected - n, found - n) for n in range(tail, 0, -1)]


def in_any_order(same: Same, likeness: Likeness, expected: int, found: int) -> list[Pair]:
    """For each expected one found that is alike and nobody else's, so that as many as can be have one; then the others.

    An expected row names a few columns, so that it may be like several: the first that fits may be the only one of another.
    """
    matched = _matched([[j for j in range(found) if same(i, j)] for i in range(expected)])
    taken = set(matched.values())
    alike: list[Pair] = [(i, matched[i]) for i in range(expected) if i in matched]
    left, right = [i for i in range(expected) if i not in matched], [j for j in range(found) if j not in taken]
    return alike + (_nearest(likeness, left, right) if len(left) * len(right) <= MOST_COMPARED else _beside(left, right))


def _alike(same: Same, indexes: range) -> int:
    """How many are alike from the start."""
    return next((i for i in indexes if not same(i, i)), len(indexes))


def _beside(left: Sequence[int], right: Sequence[int]) -> list[Pair]:
    """Those left over, beside each other as far as they go."""
    both = min(len(left), len(right))
    pairs: list[Pair] = list(zip(left[:both], right[:both], strict=True))
    return [*pairs, *((i, None) for i in left[both:]), *((None, j) for j in right[both:])]


def _nearest(likeness: Likeness, left: Sequence[int], right: Sequence[int]) -> list[Pair]:
    """Those left over, each beside the one that has most of it, if any has something."""
    pairs, free = list[Pair](), list(right)
    for i in left:
        j = max(free, key=lambda j: likeness(i, j), default=None)
        if j is not None and likeness(i, j):
            free.remove(j)
        pairs.append((i, j if j is not None and likeness(i, j) else None))
    return [*pairs, *((None, j) for j in free)]


def _longest(same: Same, left: range, right: range) -> list[tuple[int, int]]:
    """The longest sequence of pairs that are alike and in order on both sides."""
    longest = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    alike = [[same(i, j) for j in right] for i in left]
    for a in reversed(range(len(left))):
        for b in reversed(range(len(right))):
            through = 1 + longest[a + 1][b + 1] if alike[a][b] else 0
            longest[a][b] = max(through, longest[a + 1][b], longest[a][b + 1])
    return [(left[a], right[b]) for a, b in _walked(longest, alike)]


def _walked(longest: list[list[int]], alike: list[list[bool]]) -> Iterator[tuple[int, int]]:
    a = b = 0
    while a < len(alike) and b < len(alike[a]):
        if alike[a][b] and longest[a][b] == 1 + longest[a + 1][b + 1]:
            yield a, b
            a, b = a + 1, b + 1
        elif longest[a + 1][b] >= longest[a][b + 1]:
            a += 1
        else:
            b += 1


def _matched(choices: Sequence[Sequence[int]]) -> dict[int, int]:
    """A matching with as many pairs as can be: whoever finds all its choices taken asks their owners to move on."""
    owner: dict[int, int] = {}
    for start in range(len(choices)):
        came_from: dict[int, int] = {}
        asked, free = deque([start]), None
        while asked and free is None:
            one = asked.popleft()
            for choice in choices[one]:
                if choice not in came_from:
                    came_from[choice] = one
                    if choice not in owner:
                        free = choice
                        break
                    asked.append(owner[choice])
        _move_on(owner, came_from, (start, free))
    return {i: j for j, i in owner.items()}


def _move_on(owner: dict[int, int], came_from: dict[int, int], path: tuple[int, int | None]) -> None:
    """Give the free one to who asked for it, what that had to who asked before, and so on back to the start."""
    start, free = path
    has = {i: j for j, i in owner.items()}
    while free is not None:
        one = came_from[free]
        owner[free] = one
        free = None if one == start else has[one]
