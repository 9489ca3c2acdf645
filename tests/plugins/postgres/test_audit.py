"""A day judged: what is expected, what is missing, and why; without a database."""
# what is expected stands first in an assert

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Calendar, Session
from stockifyd_postgres.audit import Audit, Letter, Series, Stored, judge, slots

CALENDAR = Calendar.load("nse")
DAY = date(2026, 11, 23)
MINUTE = timedelta(minutes=1)
NIFTY, BANK = Series("NIFTY", DAY), Series("BANKNIFTY", DAY)  # both expire on that Monday: the Tuesday is a holiday
OPEN = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
LATER = datetime(2026, 11, 24, tzinfo=UTC)
ALL = range(375)


def at(minute: int) -> datetime:
    return OPEN + minute * MINUTE


def counts(minutes: Iterable[int]) -> dict[datetime, int]:
    return {at(minute): 1 for minute in minutes}


def judged(stored: Stored, *, day: date = DAY, symbols: Iterable[str] = ("NIFTY",)) -> Audit:
    return judge(CALENDAR, day, stored, symbols=set(symbols), every=MINUTE)


def test_a_whole_day_is_clean() -> None:
    """375 minutes, from 09:15 to 15:30."""
    audit = judged(Stored(LATER, {NIFTY: counts(ALL)}))
    assert (True, 375, 375, ()) == (audit.is_clean, audit.lines[0].expected, audit.lines[0].there, tuple(audit.lines[0].gaps))


def test_a_gap_has_its_beginning_and_its_end() -> None:
    """Minutes in a row are one gap; the first and the last of the day are found as well."""
    audit = judged(Stored(LATER, {NIFTY: counts(set(ALL) - {0, 10, 11, 12, 374})}))
    assert [(at(0), at(1), 1), (at(10), at(13), 3), (at(374), at(375), 1)] == [
        (g.start, g.end, g.missing) for g in audit.lines[0].gaps
    ]
    assert not audit.is_clean


def test_the_pause_of_a_session_in_two_parts_is_no_gap() -> None:
    """2 March 2024: 45 and 60 minutes; a gap on both sides of the pause is two gaps."""
    day, first = date(2024, 3, 2), datetime(2024, 3, 2, 3, 45, tzinfo=UTC)
    session = CALENDAR.session(day)
    assert isinstance(session, Session)
    expected = slots(session, MINUTE, LATER)
    assert 105 == len(expected)
    there = {slot: 1 for slot in expected if not first + 43 * MINUTE <= slot <= first + 136 * MINUTE}
    audit = judged(Stored(LATER, {Series("NIFTY", date(2024, 3, 7)): there}), day=day)
    assert [2, 2] == [gap.missing for gap in audit.lines[0].gaps]


def test_the_next_expiry_must_be_there() -> None:
    """Chains of a later expiry do not make up for it; a symbol without any chain is missing all day."""
    later = Series("NIFTY", date(2026, 12, 1))
    audit = judged(Stored(LATER, {later: counts(ALL)}), symbols=["NIFTY", "BANKEX"])
    assert [(Series("BANKEX", None), 1), (NIFTY, 1), (later, 0)] == [(line.series, len(line.gaps)) for line in audit.lines]


def test_expiries_that_nobody_knows_are_told() -> None:
    """Of a symbol that the calendar does not have, and of one whose next expiry it does not know: neither is passed over."""
    day = date(2026, 12, 31)
    audit = judged(Stored(LATER), day=day, symbols=["NIFTY", "BANKEX"])
    assert [
        "BANKEX: NSE index options has no expiries of it",
        "NIFTY: NSE index options is known from 2024-01-01 until 2026-12-31",
    ] == [text.partition(",")[0] for text in audit.unknown]
    assert () == tuple(judged(Stored(LATER), symbols=["NIFTY", "SENSEX"]).unknown)


def test_what_is_not_over_is_not_expected() -> None:
    """At noon the afternoon is no gap, nor is the minute that runs."""
    audit = judged(Stored(at(10) + timedelta(seconds=59), {NIFTY: counts(range(10))}))
    assert (True, 10) == (audit.is_clean, audit.lines[0].expected)


def test_reasons() -> None:
    """Dead letters of that series and time; else storage that has not come so far; else whether others have chains then."""
    stored = Stored(
        LATER,
        {NIFTY: counts(set(ALL) - {5, 20, 30, 300}), BANK: counts(set(ALL) - {5, 20, 300})},
        letters=[Letter(f"NIFTY:{DAY}", at(5) + timedelta(seconds=3), "strike is -1"), Letter("OTHER:x", at(20), "no")],
        come_to=at(299),
    )
    nifty, bank = (
        next(line for line in judged(stored, symbols=["NIFTY", "BANKNIFTY"]).lines if line.series == s) for s in (NIFTY, BANK)
    )
    assert ["dead_letters", "nothing_stored", "others_stored", "not_stored_yet"] == [gap.code for gap in nifty.gaps]
    assert "1 dead letters, the first: strike is -1" == nifty.gaps[0].reason
    assert ["others_stored" if minute == 30 else "nothing_stored" for minute in (5, 20)] == [gap.code for gap in bank.gaps[:2]]


def test_torn_chains_are_not_clean() -> None:
    """Nothing is missing, and yet not all is right."""
    assert not judged(Stored(LATER, {NIFTY: counts(ALL)}, torn=["NIFTY: options without their snapshot"])).is_clean


def test_a_closed_day_expects_nothing() -> None:
    """A holiday has its name; what was stored all the same is shown."""
    audit = judged(Stored(LATER, {NIFTY: {datetime(2026, 11, 24, tzinfo=UTC): 7}}), day=date(2026, 11, 24))
    assert (True, "Prakash Gurpurb Sri Guru Nanak Dev", 7) == (audit.is_clean, audit.closed, audit.lines[0].snapshots)


def test_an_unknown_day_is_neither_clean_nor_missing() -> None:
    """Nobody knows what to expect."""
    audit = judged(Stored(LATER, {NIFTY: counts(ALL)}), day=date(2027, 1, 4))
    assert (True, ()) == (audit.is_unknown, tuple(audit.lines[0].gaps))


@given(st.sets(st.integers(0, 374)), st.integers(0, 375))
def test_gaps_are_what_is_missing(missing: set[int], over: int) -> None:
    """Whatever is missing of what is over: the gaps hold just these minutes, in order, and no two of them touch."""
    audit = judged(Stored(at(over), {NIFTY: counts(set(ALL) - missing)}))
    gaps = audit.lines[0].gaps
    found = [minute for gap in gaps for minute in ALL if gap.start <= at(minute) < gap.end]
    assert sorted(m for m in missing if m < over) == found
    assert sum(gap.missing for gap in gaps) == len(found)
    assert all(one.end < other.start for one, other in pairwise(gaps))
