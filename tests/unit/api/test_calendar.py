"""What a calendar knows of a day, what it says where it does not, and what a file of one may hold."""
# what is expected stands first in an assert

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.documents import blocks
from stockifyd.api import Calendar, Session, Unknown

CALENDAR = Calendar.load("nse")
DAYS = st.dates(CALENDAR.known_from, CALENDAR.known_until)

SMALL = """\
version: 1
name: small
timezone: Asia/Kolkata
known_from: 2026-01-01
known_until: 2026-01-31
weekdays: [monday, tuesday]
hours: [{open: 09:15, close: 15:30}]
"""


def session(day: str) -> Session:
    """A day's session, which must be there."""
    found = CALENDAR.session(date.fromisoformat(day))
    assert isinstance(found, Session)
    return found


def findings(tmp_path: Path, text: str) -> list[str]:
    """What is wrong with a file, without its name."""
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r":|bytes|no YAML") as raised:
        Calendar.load(path)
    return str(raised.value).replace(str(path), "c").splitlines()


def test_a_name_is_of_a_calendar_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no file beside it, and hides none: a path has a dot or a slash."""
    monkeypatch.chdir(tmp_path)
    Path("nse.yaml").write_text(SMALL)
    assert ["NSE index options", "small"] == [Calendar.load("nse").name, Calendar.load("nse.yaml").name]
    with pytest.raises(ValueError, match=r"no calendar 'bse' ships, but nse; of a file write its path, such as ./bse.yaml"):
        Calendar.load("bse")


def test_a_usual_day_is_in_utc_from_0345_to_1000() -> None:
    """09:15 to 15:30 in India."""
    found = session("2026-07-01")
    assert (datetime(2026, 7, 1, 3, 45, tzinfo=UTC), datetime(2026, 7, 1, 10, 0, tzinfo=UTC)) == (found.open, found.close)


@pytest.mark.parametrize("day", ["2026-01-26", "2024-11-20", "2026-11-24", "2026-07-04", "2026-07-05"])
def test_holidays_and_weekends_have_no_session(day: str) -> None:
    """None: known to be closed."""
    assert CALENDAR.session(date.fromisoformat(day)) is None


def test_an_hour_of_trading_on_a_holiday() -> None:
    """Muhurat trading: closed in the morning, open in the evening."""
    found = session("2024-11-01")
    assert ("muhurat trading", timedelta(hours=1)) == (found.name, found.close - found.open)
    assert CALENDAR.is_open(datetime(2024, 11, 1, 4, 0, tzinfo=UTC)) is False
    assert CALENDAR.is_open(datetime(2024, 11, 1, 12, 30, tzinfo=UTC)) is True


def test_a_session_in_two_parts_is_closed_between_them() -> None:
    """The drill of 2 March 2024: 09:15 to 10:00 and 11:30 to 12:30."""
    found = session("2024-03-02")
    assert [True, False, True, False] == [
        found.holds(datetime(2024, 3, 2, hour, minute, tzinfo=UTC)) for hour, minute in ((3, 45), (4, 30), (6, 0), (7, 0))
    ]


def test_the_close_is_not_open_any_more() -> None:
    """Hours hold their beginning, not their end."""
    found = session("2026-07-01")
    assert (True, False) == (CALENDAR.is_open(found.open), CALENDAR.is_open(found.close))


def test_the_day_is_the_markets_own() -> None:
    """20:00 UTC of Sunday is Monday in India: the day of the market is asked, not that of UTC."""
    calendar = CALENDAR
    monday = date(2026, 7, 6)
    evening = datetime(2026, 7, 5, 20, 0, tzinfo=UTC)
    assert monday == evening.astimezone(calendar.zone).date()
    assert calendar.is_open(evening) is False


@pytest.mark.parametrize("day", ["2023-12-31", "2027-01-01", "2026-11-08"])
def test_what_is_not_known_is_unknown(day: str) -> None:
    """Before and after what the file knows, and on a day of which it says so."""
    found = CALENDAR.session(date.fromisoformat(day))
    assert isinstance(found, Unknown)
    assert day in found.reason
    assert isinstance(CALENDAR.is_open(datetime.fromisoformat(f"{day}T06:00:00+00:00")), Unknown)


def test_unknown_is_neither_open_nor_closed() -> None:
    """`if calendar.is_open(...)` cannot take it for one of them."""
    with pytest.raises(TypeError, match="2027-01-01"):
        bool(CALENDAR.session(date(2027, 1, 1)))


@pytest.mark.parametrize(
    ("symbol", "day", "expiry"),
    [
        ("NIFTY", "2024-06-14", "2024-06-20"),  # the two recorded chains
        ("NIFTY", "2024-06-21", "2024-06-27"),
        ("NIFTY", "2024-08-09", "2024-08-14"),  # the 15th is a holiday
        ("NIFTY", "2025-08-29", "2025-09-02"),  # from Thursdays to Tuesdays
        ("NIFTY", "2025-10-21", "2025-10-28"),  # an hour of trading on a holiday does not make an expiry
        ("NIFTY", "2025-10-15", "2025-10-20"),
        ("BANKNIFTY", "2024-01-18", "2024-01-25"),  # the monthly one takes the weekly one's place
        ("BANKNIFTY", "2024-11-14", "2024-11-27"),  # no weekly ones any more
        ("BANKNIFTY", "2024-12-01", "2024-12-24"),
        ("FINNIFTY", "2026-03-01", "2026-03-30"),
        ("MIDCPNIFTY", "2024-11-18", "2024-11-18"),  # the last weekly one
        ("MIDCPNIFTY", "2024-11-19", "2024-11-25"),
        ("SENSEX", "2024-12-28", "2025-01-03"),  # a Friday still
        ("SENSEX", "2025-01-04", "2025-01-07"),
        ("SENSEX", "2025-08-27", "2025-09-04"),  # from Tuesdays to Thursdays
    ],
)
def test_expiries(symbol: str, day: str, expiry: str) -> None:
    """The next one, moved before a holiday."""
    assert date.fromisoformat(expiry) == CALENDAR.expiry(symbol, date.fromisoformat(day))


def test_an_expiry_beyond_what_is_known_is_unknown() -> None:
    """The first one of 2027 may be moved by a holiday that nobody has announced."""
    assert isinstance(CALENDAR.expiry("NIFTY", date(2026, 12, 30)), Unknown)


def test_a_symbol_without_expiries_has_none() -> None:
    """The calendar says nothing of it."""
    assert CALENDAR.expiry("BANKEX", date(2026, 7, 1)) is None


@given(DAYS, st.sampled_from(sorted(CALENDAR.expiries)))
def test_an_expiry_is_traded_and_stays_the_next_one(day: date, symbol: str) -> None:
    """It is not before the day, there is a session on it, and no day between them has another answer."""
    found = CALENDAR.expiry(symbol, day)
    if isinstance(found, date):
        assert day <= found
        assert isinstance(CALENDAR.session(found), Session)
        assert found == CALENDAR.expiry(symbol, found)


@given(DAYS, st.times())
def test_open_is_within_a_session(day: date, time: object) -> None:
    """`is_open` and `session` agree about every instant of every day."""
    at = datetime.combine(day, time, tzinfo=CALENDAR.zone)  # type: ignore[arg-type]
    found, is_open = CALENDAR.session(day), CALENDAR.is_open(at)
    if isinstance(found, Unknown):
        assert isinstance(is_open, Unknown)
    else:
        assert is_open is (found is not None and any(begin <= at < end for begin, end in found.hours))


def test_known_holidays_are_on_weekdays() -> None:
    """A holiday on a Sunday would be a slip of the pen; so would a special Saturday that is none."""
    assert [] == [day for day in CALENDAR.holidays if day.weekday() not in CALENDAR.weekdays]
    assert [] == [d for d in CALENDAR.special if d.weekday() in CALENDAR.weekdays and d not in CALENDAR.holidays]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            ("known_until: 2026-01-31", "known_until: 2025-01-31"),
            "c:5:14: known_until 2025-01-31 is before known_from 2026-01-01",
        ),
        (("known_until: 2026-01-31\n", ""), "c:1:1: 'known_until' is missing"),
        (("weekdays: [monday, tuesday]", "weekdays: [monday, Tuesday]"), "c:6:20: 'Tuesday' is not one of"),
        (("weekdays: [monday, tuesday]", "weekdays: monday"), "c:6:11: a list with at least one entry is expected here"),
        (("name: small", "nam: small"), "c:2:1: 'nam' is not known; did you mean 'name'?"),
        (("2026-01-01", "2026-02-30"), "c:4:13: '2026-02-30' is not a day of any calendar"),
        (("2026-01-01", "1 January"), "c:4:13: '1 January' is not a date, 2026-01-26"),
        (("Asia/Kolkata", "Asia/Calcuta"), "c:3:11: 'Asia/Calcuta' is not a zone, Asia/Kolkata"),
        (("open: 09:15", "open: 9:15"), "c:7:16: '9:15' is not a time, 09:15"),
        (("close: 15:30", "close: 09:15"), "c:7:9: close is not after open"),
        (("version: 1", "version: 2"), "c:1:10: version: 1 is the only one there is"),
        (("hours: [", "holidays: {2026-01-26: }\nhours: ["), "c:7:24: a word is expected here"),
        (("hours: [", "holidays: {2026-01-26: a, 2026-01-26: b}\nhours: ["), "c:7:27: '2026-01-26' is there twice"),
        (("hours: [", "unknown: {2026-01-26: a}\nholidays: {2026-01-26: a}\nhours: ["), "c:7:10: 2026-01-26 is unknown, and yet"),
        (("hours: [", "hours: [{open: 09:00, close: 10:00}, "), "c:7:8: hours overlap, or are not in order"),
        (("hours: [", "expiries: {N: [{from: 2026-01-01}]}\nhours: ["), "c:7:16: 'weekly' or 'monthly' is missing"),
        (("hours: [", "special: {2026-01-03: {name: x, hours: []}}\nhours: ["), "c:7:40: a list with at least one entry"),
    ],
)
def test_a_slip_is_found_with_its_place(tmp_path: Path, change: tuple[str, str], finding: str) -> None:
    """File, line, column, the value, and what is allowed."""
    assert finding in "\n".join(findings(tmp_path, SMALL.replace(*change)))


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Three slips, three lines."""
    wrong = SMALL.replace("monday", "Monday").replace("09:15", "9.15").replace("name: small", "nom: small")
    assert ["c:1:1:", "c:2:1:", "c:6:12:", "c:7:16:"] == sorted(line.split()[0] for line in findings(tmp_path, wrong))


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: &x 1\nb: *x", "--- 1\n--- 2", "%", "a" * 3_000_000, "[" * 5_000])
def test_what_is_no_calendar_is_a_value_error(tmp_path: Path, text: str) -> None:
    """Whatever the file holds."""
    assert findings(tmp_path, text)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Not UTF-8."""
    path = tmp_path / "c.yaml"
    path.write_bytes(b"name: \xff")
    with pytest.raises(ValueError, match="not UTF-8"):
        Calendar.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The path, and why."""
    with pytest.raises(ValueError, match=r"none\.yaml cannot be read: No such file"):
        Calendar.load(tmp_path / "none.yaml")


@given(st.text(max_size=200))
def test_no_text_crashes_the_reader(text: str) -> None:
    """It is read, or refused with a ValueError."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "c.yaml"
        path.write_text(SMALL + text, encoding="utf-8", errors="replace")
        try:
            Calendar.load(path)
        except ValueError as error:
            assert str(path) in str(error)


def test_the_calendar_in_the_docs_can_be_read(tmp_path: Path) -> None:
    """What a text shows is a calendar."""
    (shown,) = [block for block in blocks() if block.mark == "yaml calendar"]
    path = tmp_path / "c.yaml"
    path.write_text(shown.text)
    assert isinstance(Calendar.load(path).session(date(2026, 11, 8)), Unknown)
