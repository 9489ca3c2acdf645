"""Messages as runs: what a run is, and that C and Python see the same."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Message, Partition, Position
from stockifyd.runtime import runs as looking
from stockifyd.runtime.runs import Run, plain_runs, runs

A, B = Partition("a"), Partition("b", 1, "c")
in_c = pytest.mark.skipif(looking._runs is None, reason="_runs was not compiled: there was no C compiler")
MESSAGES = st.lists(
    st.builds(
        lambda partition, offset, size: Message(Position(partition, offset), b"x" * size),
        *(st.sampled_from([A, B]), st.integers(0, 9), st.integers(0, 5)),
    )
)


def at(*positions: tuple[Partition, int]) -> list[Message]:
    return [Message(Position(*position), b"xx") for position in positions]


def test_a_run_ends_with_its_partition() -> None:
    """Holes are in it; the same partition later is another run."""
    messages = at((A, 1), (A, 2), (A, 9), (B, 3), (A, 10))
    assert [Run(A, 1, 10, 3, 6), Run(B, 3, 4, 4, 2), Run(A, 10, 11, 5, 2)] == runs(messages)


@pytest.mark.parametrize("offset", [1, 0])
def test_a_run_ends_where_offsets_do_not_rise(offset: int) -> None:
    """Going back, or coming again."""
    assert [Run(A, 1, 2, 1, 2), Run(A, offset, offset + 1, 2, 2)] == runs(at((A, 1), (A, offset)))


@given(MESSAGES)
def test_runs_are_the_whole_list(messages: list[Message]) -> None:
    """In order, each one rising in one partition, and with the bytes of its messages."""
    found, start = runs(messages), 0
    for run in found:
        part = messages[start : run.stop]
        offsets = [message.position.offset for message in part]
        assert {run.partition} == {message.position.partition for message in part}
        assert all(a < b for a, b in pairwise(offsets))
        assert (run.first, run.next) == (offsets[0], offsets[-1] + 1)
        assert run.bytes == sum(len(message.raw) for message in part)
        start = run.stop
    assert start == len(messages)


@in_c
@given(MESSAGES)
def test_in_c_as_in_python(messages: list[Message]) -> None:
    """Also of a tuple, as a batch has them."""
    assert plain_runs(messages) == runs(messages) == runs(tuple(messages))


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was installed without: runs all the same."""
    monkeypatch.setattr(looking, "_runs", None)
    assert [Run(A, 1, 2, 1, 2)] == runs(at((A, 1)))


@in_c
@pytest.mark.parametrize("wrong", [{"position": (A,)}, {"position": None}, {"position": (A, "1")}, {"raw": None}, {}])
def test_what_is_no_message(wrong: dict[str, Any]) -> None:
    """Is an error of Python's, not of the process, and leaves nothing behind."""
    good: Any = SimpleNamespace(position=(A, 10**9), raw=b"x")
    bad: Any = SimpleNamespace(**{**vars(good), **wrong} if wrong else {})
    tracemalloc.start()
    try:
        for _ in range(200):
            assert runs([good] * 9)
            with pytest.raises((TypeError, AttributeError)):
                runs([good, bad])
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 20_000
