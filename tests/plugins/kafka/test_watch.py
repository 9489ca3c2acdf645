"""The watch over progress."""

from __future__ import annotations

from stockifyd_kafka.watch import Seen, Verdict, Watch


def run(
    watch: Watch[int], steps: int, *, step: float = 1.0, drained: bool = True, answers: bool = True, end: int = 10
) -> list[Verdict]:
    """Look every `step` seconds at a partition that stays at 5."""
    return [watch.observe(100 + i * step, {1: Seen(5, end, i if answers else 0)}, drained=drained) for i in range(steps)]


def test_more_to_read_and_nothing_comes() -> None:
    """A partition that is behind and stands still is a stall after `stall_secs`."""
    verdicts = run(Watch(30), 31)
    assert {Verdict.FINE} == set(verdicts[:30])
    assert verdicts[30] == Verdict.STALLED


def test_only_what_stood_still_is_named() -> None:
    """Of two partitions that are behind, one moves: the other one stalled, where it stands."""
    watch = Watch[int](30)
    verdicts = [watch.observe(i, {1: Seen(5, 10, i), 2: Seen(i, 1000, i)}, drained=True) for i in range(31)]
    assert (verdicts[-1], watch.stalled) == (Verdict.STALLED, {1: 5})


def test_what_was_given_away_is_no_stall() -> None:
    """A rebalance that takes no time leaves one of two partitions: only that one is watched on."""
    watch = Watch[int](30)
    both = [watch.observe(i, {1: Seen(i, 1000, i), 2: Seen(5, 1000, i)}, drained=True) for i in range(10)]
    left = [watch.observe(i, {1: Seen(i, 1000, i)}, drained=True) for i in range(10, 100)]
    assert {Verdict.FINE} == {*both, *left}


def test_what_is_kept_through_a_rebalance_is_watched_on() -> None:
    """One of two partitions is given away, the other one stands still all the while."""
    watch = Watch[int](30)
    for i in range(10):
        watch.observe(i, {1: Seen(5, 10, i), 2: Seen(i, 1000, i)}, drained=True)
    verdicts = [watch.observe(i, {1: Seen(5, 10, i)}, drained=True) for i in range(10, 31)]
    assert {Verdict.FINE} == set(verdicts[:-1])
    assert verdicts[-1] == Verdict.STALLED


def test_a_pause_is_no_stall() -> None:
    """What was not asked for, since too much waited or a sink was away, has its time anew."""
    watch = Watch[int](30)
    run(watch, 29)
    watch.rest()
    assert {Verdict.FINE} == {watch.observe(129 + i, {1: Seen(5, 10, i)}, drained=True) for i in range(30)}


def test_nothing_to_read_is_fine() -> None:
    """A partition at its end may stand still for ever."""
    assert {Verdict.FINE} == set(run(Watch(30), 100, end=5))


def test_waiting_its_turn_is_fine() -> None:
    """A partition whose records wait in the buffer is not asked for, and no stall."""
    assert {Verdict.FINE} == set(run(Watch(30), 100, drained=False, answers=False))


def test_silence_is_said_once_then_a_stall() -> None:
    """No answer: said once after a while, then a stall."""
    verdicts = run(Watch(30), 31, answers=False)
    assert [i for i, v in enumerate(verdicts) if v is Verdict.SILENT] == [5]
    assert verdicts[30] == Verdict.STALLED


def test_an_answer_after_silence_is_said() -> None:
    """It is said once that it is back."""
    watch = Watch[int](30)
    run(watch, 8, answers=False)
    verdicts = [watch.observe(108 + i, {1: Seen(5, 5, 50 + i)}, drained=True) for i in range(3)]
    assert verdicts == [Verdict.BACK, Verdict.FINE, Verdict.FINE]


def test_a_reader_that_did_not_look_blames_nobody() -> None:
    """After a pause of our own, time counts anew."""
    watch = Watch[int](30)
    watch.observe(0, {1: Seen(5, 10, 1)}, drained=True)
    assert watch.observe(1000, {1: Seen(5, 10, 1)}, drained=True) == Verdict.FINE


def test_movement_is_fine() -> None:
    """A partition that is behind but moves is no stall."""
    watch = Watch[int](30)
    assert {Verdict.FINE} == {watch.observe(i, {1: Seen(i, 1000, i)}, drained=True) for i in range(100)}
