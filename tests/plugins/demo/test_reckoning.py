"""The reckoning of the whole platform's demo finds whatever is missing, too much or other than it was polled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from stockifyd.api import Calendar, Session
from stockifyd_demo.market import session, whole_minute_at
from stockifyd_demo.polled import Chain
from stockifyd_demo.reckoning import EACH_ONE, EACH_OPTION, EXPORT, Found, Identity, differences

OPENED = datetime(2026, 11, 23, 3, 45, 50, tzinfo=UTC)  # 09:15:50 in India
POLLED = [
    Chain(symbol, date(2026, 11, 24), OPENED + timedelta(seconds=3 * n + late), 500, 7_500, 15_000)
    for n in range(50)
    for symbol, late in (("NIFTY", 0.1), ("SENSEX", 0.2))
]
LAST = Identity(*POLLED[-1][:3])
FOREIGN = LAST._replace(symbol="BANKNIFTY")
INTERVAL = timedelta(seconds=3)
AGO = 2 * INTERVAL
PLACES = (*EACH_ONE, *EACH_OPTION, EXPORT)


def found() -> Found:
    """All as it must be."""
    rows = {place: {Identity(*one[:3]): 1 if place in EACH_ONE else one.options for one in POLLED} for place in PLACES}
    interest = {Identity(*one[:3]): (one.call_oi, one.put_oi) for one in POLLED}
    opened = OPENED + AGO
    since = {Identity(*one[:3]): one.at - AGO if one.at >= opened else None for one in POLLED}
    history = {identity: {at: 500} for identity, at in since.items()}
    return Found(rows, interest, history, repeated=0, dead_letters=0, gaps=0)


def said_of(changed: Found) -> list[str]:
    return list(differences(POLLED, changed, AGO))


def changed(place: str, identity: Identity, rows: int) -> Found:
    right = found()
    return replace(right, rows={**right.rows, place: {**right.rows[place], identity: rows}})


def test_all_is_right() -> None:
    """Nothing is said."""
    assert [] == said_of(found())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("identity", "rows"), [(LAST, 0), (LAST, 499), (LAST, 501), (FOREIGN, 500)])
def test_rows_that_are_wrong(place: str, identity: Identity, rows: int) -> None:
    """A chain that is missing, not whole or doubled, and one that nobody polled, is named with its place."""
    [said] = said_of(changed(place, identity, rows))
    assert said.startswith(f"{place}: {rows} ")
    assert str(identity) in said


@pytest.mark.parametrize("what", ["repeated", "dead_letters", "gaps"])
def test_counts_that_must_be_nothing(what: str) -> None:
    """Rows that the file has again, dead letters and gaps are said."""
    [said] = said_of(replace(found(), **{what: 3}))
    assert said.startswith("3 ")


def test_other_values() -> None:
    """A chain that is whole, with other open interest than the vendor's, is named."""
    right = found()
    [said] = said_of(replace(right, interest={**right.interest, LAST: (7_500, 15_001)}))
    assert str(LAST) in said


@pytest.mark.parametrize("since", [None, LAST.at - INTERVAL, LAST.at - AGO - INTERVAL])
def test_a_history_of_another_time(since: datetime | None) -> None:
    """Build-ups against nothing, or against a chain that is not the newest one so old, are named with what they are against."""
    right = found()
    [said] = said_of(replace(right, history={**right.history, LAST: {LAST.at - AGO: 400, since: 100}}))
    assert f"{LAST} is against {since}, not {LAST.at - AGO}" in said


def test_how_many_had_history() -> None:
    """All but those of the first chains of each series."""
    assert (len(POLLED) - 2 * 2) * 500 == found().with_history


def test_session(tmp_path: Path) -> None:
    """The market was open in the minutes in which every series was polled, and the last of them is whole."""
    day, path = session(tmp_path, POLLED)  # from 09:15:50 to 09:18:17
    opened = Calendar.load(path).session(day)
    assert isinstance(opened, Session)
    assert ("09:15", "09:18") == (f"{opened.open:%H:%M}", f"{opened.close:%H:%M}")


@pytest.mark.parametrize("second", range(0, 60, 7))
def test_a_whole_minute(second: int, tmp_path: Path) -> None:
    """Whenever it begins, there is a session when it has polled until then."""
    began = OPENED.replace(second=second)
    until = datetime.fromtimestamp(whole_minute_at(began.timestamp(), 3.0), UTC)
    polled = [one._replace(at=at) for one in POLLED if began <= (at := one.at - OPENED + began + timedelta(seconds=2)) <= until]
    day, path = session(tmp_path, polled)
    opened = Calendar.load(path).session(day)
    assert isinstance(opened, Session)
    assert opened.open < opened.close <= until
