"""The SQL that is made: quoted names, hypertables, headers, days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.postgres_sink import EXPIRY, make_sink, option_rows
from stockifyd.api import Reject
from stockifyd.testing import make_context
from stockifyd_postgres import ddl
from stockifyd_postgres.catalogue import Column, Target
from stockifyd_postgres.conflict import statement
from stockifyd_postgres.letters import pack_headers, text, unpack_headers
from stockifyd_postgres.loads import Load
from stockifyd_postgres.mailbox import Filter
from stockifyd_postgres.migrate import Wishes, script
from stockifyd_postgres.names import guess, quote
from stockifyd_postgres.options import TableOptions
from stockifyd_postgres.partitions import Days, day_of
from stockifyd_postgres.sink import Postgres

URL = "postgresql://writer@127.0.0.1/d"
TARGET = Target(("public", "t"), {}, key=("a", "b"))


def test_hypertables_have_chunks_of_a_day() -> None:
    """With TimescaleDB there is no PARTITION BY, and no partition of ours."""
    sql = ddl.table_sql(("public", "option_contracts"), timescaledb=True) or ""
    assert "create_hypertable('\"public\".\"option_contracts\"', 'timestamp', chunk_time_interval => INTERVAL '1 day'" in sql
    assert "PARTITION BY" not in sql
    assert "ensure_day" not in sql


def test_instruments_are_no_hypertable() -> None:
    """A table without a day column stays plain in either form."""
    both = {ddl.table_sql(("public", "instruments"), timescaledb=flag) for flag in (True, False)}
    assert len(both) == 1


def test_market_tables_bring_instruments() -> None:
    """What refers to symbols has their table beside it."""
    names = [step.name for step in ddl.steps([make_sink(URL).config], timescaledb=False)]
    assert names[-2:] == ["tables/public.instruments", "tables/public.option_contracts"]


def test_print_needs_no_connection() -> None:
    """A whole transaction, with the extension where it was asked for."""
    sql = script([make_sink(URL)], Wishes(url="postgresql://owner@127.0.0.1/d", timescaledb=True))
    assert sql.startswith("BEGIN;\n")
    assert sql.endswith("COMMIT;\n")
    assert "CREATE EXTENSION IF NOT EXISTS timescaledb;" in sql
    assert 'GRANT SELECT, INSERT ON "public"."option_contracts" TO "writer";' in sql


def test_the_owner_needs_no_grants() -> None:
    """Where the sink connects as the owner nothing is granted."""
    assert "GRANT" not in script([make_sink(URL)], Wishes())


def test_a_name_is_quoted() -> None:
    """Whatever is in it."""
    assert quote('a"b') == '"a""b"'


def test_a_guess_is_made_of_what_is_close() -> None:
    """And of nothing else."""
    assert (guess("colum", ["column"]), guess("x", ["column"])) == (" (did you mean 'column'?)", "")


def test_update_sets_all_but_the_key() -> None:
    """Of equal keys in one batch the last one."""
    sql = statement(TARGET, ("a", "b", "c"), stage="s", on_conflict="update")
    assert sql.endswith('ORDER BY "a", "b", ctid DESC ON CONFLICT ("a", "b") DO UPDATE SET "c" = excluded."c"')


def test_update_of_a_key_alone_is_nothing() -> None:
    """There is nothing to set."""
    assert statement(TARGET, ("a", "b"), stage="s", on_conflict="update").endswith("DO NOTHING")


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.binary())))
def test_headers_come_back(headers: list[tuple[str, bytes]]) -> None:
    """Text or not."""
    assert unpack_headers(pack_headers(headers)) == tuple(headers)


@given(st.text())
def test_any_text_can_be_stored(value: str) -> None:
    """No NUL and nothing that UTF-8 cannot say."""
    assert b"\0" not in text(value).encode()


@given(st.text(min_size=1), st.integers(0, 9999), st.integers(0, 2**62))
def test_a_letter_is_found_by_the_name_it_prints(topic: str, partition: int, offset: int) -> None:
    """Topics may hold slashes."""
    assert Filter.named(f"{topic}/{partition}/{offset}") == Filter(topic=topic, partition=partition, offset=offset)


def load(times: list[Any], kind: str = "timestamp with time zone") -> Load:
    target = Target(("public", "t"), {"at": Column("at", kind, needed=True, generated=False)}, time_column="at", by_day=True)
    return Load("options", target, TableOptions(into="t"), ("at",), [(time,) for time in times])


@pytest.fixture
def days() -> Days:
    return Days(make_sink(URL, retention_days=30).config, now=lambda: datetime(2026, 11, 24, 23, 59, tzinfo=UTC))


def test_days_are_utc_days(days: Days) -> None:
    """Half past five in India is midnight here."""
    india = datetime.fromisoformat("2026-11-24T05:29:59+05:30")
    assert days.of(load([india, india + timedelta(seconds=1), date(2026, 11, 20)])) == {
        date(2026, 11, 23),
        date(2026, 11, 24),
        date(2026, 11, 20),
    }


@pytest.mark.parametrize(("offset", "fine"), [(-31, False), (-30, True), (2, True), (3, False)])
def test_the_plausible_days(days: Days, offset: int, fine: bool) -> None:
    """From the retention to two days ahead."""
    time = datetime(2026, 11, 24, 1, tzinfo=UTC) + timedelta(days=offset)
    if fine:
        assert days.of(load([time])) == {time.date()}
    else:
        with pytest.raises(Reject) as caught:
            days.of(load([datetime(2026, 11, 24, tzinfo=UTC), time]))
        assert caught.value.row == 1


def test_today_is_what_the_context_says() -> None:
    """A sink judges days by the context's clock, which a test can pin."""
    made = make_sink(URL, retention_days=30)
    sink = Postgres(made.config, make_context(now=lambda: datetime(2020, 1, 1, tzinfo=UTC)))
    assert sink.store.days.of(load([datetime(2020, 1, 2, tzinfo=UTC)])) == {date(2020, 1, 2)}


def test_no_time_is_rejected(days: Days) -> None:
    """A row without its partition's column has no partition."""
    with pytest.raises(Reject, match="not a time"):
        days.of(load([None]))


@given(st.datetimes(timezones=st.timezones()) | st.dates() | st.none() | st.text())
def test_any_value_has_a_day_or_none(value: Any) -> None:
    """Never an error."""
    assert day_of(value) is None or isinstance(day_of(value), date)


def test_the_rows_of_the_kit_are_of_today() -> None:
    """What the integration tests write is plausible."""
    assert option_rows(0, 1)[0][2] == EXPIRY
