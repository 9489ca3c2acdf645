"""When a server is read, left, and taken back; as a pure state machine."""
# what is expected stands first in an assert

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stockifyd_postgres.standing import RETURN_LOOKS, RETURN_SHARE, Standing

MAX = 5000.0
GOOD, MIDDLING, BAD = MAX * RETURN_SHARE, MAX, MAX + 1
events = st.lists(st.one_of(st.floats(0, 10_000), st.sampled_from(["lost", "unclear"])), max_size=40)


def after(*seen: float | str) -> Standing:
    """A server's standing after it was seen so."""
    standing = Standing()
    for event in seen:
        if isinstance(event, str):
            getattr(standing, event)(f"it was {event}")
        else:
            standing.seen(event, MAX)
    return standing


def test_a_new_server_is_read_after_one_good_look() -> None:
    """Nothing speaks against it, also where it was too far behind at first."""
    assert [False, True, False, True] == [after(*seen).is_up for seen in ((), (MIDDLING,), (BAD,), (BAD, "lost", MIDDLING))]


def test_it_is_left_at_the_first_lag_beyond_the_limit() -> None:
    """And says how far it is behind; the limit itself is allowed."""
    assert ("up", "lagging") == (after(0, MIDDLING).state, after(0, BAD).state)
    assert "5.0 s behind, 5.0 s are allowed" == after(0, BAD).reason


def test_it_comes_back_after_good_looks_in_a_row() -> None:
    """Not after one fewer; one that is only middling begins the count again."""
    back = [GOOD] * RETURN_LOOKS
    assert ["up", "lagging", "lagging", "up"] == [
        after(0, BAD, *looks).state for looks in (back, back[1:], [*back[1:], MIDDLING, *back[1:]], [MIDDLING, *back])
    ]


def test_one_that_was_lost_comes_back_the_same_way() -> None:
    """A server that answers once is not well yet."""
    assert ["down", "down", "up"] == [after(0, "lost", *[0.0] * looks).state for looks in (0, RETURN_LOOKS - 1, RETURN_LOOKS)]


def test_a_lag_that_nobody_knows_is_too_far() -> None:
    """It is not read, and says why."""
    assert ("lagging", "it was unclear") == (after(0, "unclear").state, after(0, "unclear").reason)


def test_without_a_limit_no_lag_is_too_far() -> None:
    """`max_lag_ms: null`."""
    standing = Standing()
    standing.seen(1e12, None)
    assert standing.is_up


@given(events)
def test_never_up_after_a_bad_look(seen: list[float | str]) -> None:
    """Whatever was before: right after a lag beyond the limit, a loss or an unknown lag, it is not read."""
    for n, event in enumerate(seen, start=1):
        is_bad = isinstance(event, str) or event > MAX
        assert not (is_bad and after(*seen[:n]).is_up)


@given(events)
def test_up_again_only_after_the_count(seen: list[float | str]) -> None:
    """Once left, the looks right before its return were all good."""
    standing, was_up, good = Standing(), False, 0
    for event in seen:
        before = standing.is_up
        if isinstance(event, str):
            getattr(standing, event)(event)
        else:
            standing.seen(event, MAX)
        good = good + 1 if not isinstance(event, str) and event <= GOOD else 0
        if standing.is_up and not before and was_up:
            assert good >= RETURN_LOOKS
        was_up |= standing.is_up


@given(events)
def test_a_server_that_is_not_read_says_why(seen: list[float | str]) -> None:
    """For the log and for `waiting`."""
    standing = after(*seen)
    assert standing.is_up == (standing.reason == "")
