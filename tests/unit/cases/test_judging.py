"""What is not as expected, said at its place; and what is as expected, said nothing of."""

from pathlib import Path
from typing import Any

import pytest

from unit.cases.toys import ITEMS, Fail, case, facts_of, outcome_of, run, write_cases, write_spec

ROWS = [{"name": "a", "price": 1.5}, {"name": "b", "price": 2}]
CLOCK = {"clock": "2026-11-24T09:15:00+05:30"}
SEEN = {"tables": {"items": {"rows": [{"seen_at": "2026-11-24T03:45:00Z"}] * 2}}}


@pytest.fixture(autouse=True)
def shop(tmp_path: Path) -> None:
    """The spec: `parse`, `spread`, and a sink."""
    write_spec(tmp_path)


class TestTables:
    """Rows of tables."""

    def expect(self, **rows: Any) -> dict[str, Any]:
        return {"tables": {"items": rows}}

    def test_as_expected(self, tmp_path: Path) -> None:
        """In part: only the columns that are named."""
        assert facts_of(tmp_path, self.expect(rows=ROWS, count=2)) == []

    def test_a_cell(self, tmp_path: Path) -> None:
        """The first cell that differs, at its place, and how many rows differ more."""
        rows = [{"name": "a", "price": 1}, {"name": "c", "price": 2}]
        assert facts_of(tmp_path, self.expect(rows=rows)) == ["tables.items.rows[0].price: expected 1, found 1.5; 1 more differs"]

    def test_position(self, tmp_path: Path) -> None:
        """A failure has the line and column of what is expected."""
        path = write_cases(tmp_path, case(self.expect(rows=[{"price": 1.25}, {"name": "b"}])))
        finding = run(path).outcomes[0].failures[0].finding
        line = path.read_text().splitlines()[finding.mark.line - 1]
        assert line[finding.mark.column - 1 :] == "1.25"

    def test_a_row_less(self, tmp_path: Path) -> None:
        """A row that is not there."""
        assert facts_of(tmp_path, self.expect(rows=[*ROWS, {"name": "c"}])) == [
            "tables.items.rows[2]: there is no such row: expected 3 rows, found 2"
        ]

    def test_a_row_more(self, tmp_path: Path) -> None:
        """A row that nobody expects."""
        assert facts_of(tmp_path, self.expect(rows=ROWS[:1])) == [
            "tables.items.rows: row [1] is not expected: expected 1 row, found 2"
        ]

    def test_no_rows(self, tmp_path: Path) -> None:
        """None at all may be expected."""
        assert facts_of(tmp_path, self.expect(rows=[])) == [
            "tables.items.rows: row [0] is not expected: expected 0 rows, found 2; 1 more differs"
        ]

    def test_order(self, tmp_path: Path) -> None:
        """The order counts, unless it is said that it does not."""
        assert facts_of(tmp_path, self.expect(rows=ROWS[::-1], order="any")) == []
        assert facts_of(tmp_path, self.expect(rows=ROWS[::-1])) != []

    def test_any_order_still_counts(self, tmp_path: Path) -> None:
        """In any order a row stands for one row."""
        assert facts_of(tmp_path, self.expect(rows=[{"name": "a"}, {"name": "a"}], order="any")) == [
            "tables.items.rows[1]: there is no such row: expected 2 rows, found 2; 1 more differs"
        ]

    def test_exact(self, tmp_path: Path) -> None:
        """Exactly: columns that are not named are a difference."""
        full = [{**row, "key": "k", "seen_at": "2026-11-24T03:45:00Z"} for row in ROWS]
        assert facts_of(tmp_path, self.expect(rows=full, match="exact"), **CLOCK) == []
        assert facts_of(tmp_path, self.expect(rows=ROWS, match="exact"), **CLOCK) == [
            "tables.items.rows[0].key: expected (nothing), found k; 1 more differs"
        ]

    def test_include(self, tmp_path: Path) -> None:
        """Rows among others, whatever else is there."""
        assert facts_of(tmp_path, self.expect(include=[{"name": "b"}])) == []
        assert facts_of(tmp_path, self.expect(include=[{"name": "b"}, {"name": "z"}])) == [
            "tables.items.include[1]: there is no such row"
        ]

    def test_count(self, tmp_path: Path) -> None:
        """How many there are."""
        assert facts_of(tmp_path, self.expect(count=3)) == ["tables.items.count: expected 3, found 2"]

    def test_tolerance(self, tmp_path: Path) -> None:
        """The table's own, else the file's, else none."""
        close = [{"price": 1.501}, {}]
        assert facts_of(tmp_path, self.expect(rows=close)) == ["tables.items.rows[0].price: expected 1.501, found 1.5"]
        assert facts_of(tmp_path, self.expect(rows=close, tolerance=0.001)) == []
        of_file = write_cases(tmp_path, case(self.expect(rows=close)), tolerance=0.001)
        assert run(of_file).ok
        own = write_cases(tmp_path, case(self.expect(rows=close, tolerance=0)), tolerance=0.001)
        assert not run(own).ok

    def test_a_misspelt_table(self, tmp_path: Path) -> None:
        """A table that is not there: which may be meant."""
        (failure,) = outcome_of(tmp_path, {"tables": {"itms": {}}}).failures
        assert (failure.finding.fact, failure.finding.hint) == ("there is no table 'itms'", "did you mean 'items'?")

    def test_a_misspelt_column(self, tmp_path: Path) -> None:
        """A column that is not there: which may be meant."""
        (failure,) = outcome_of(tmp_path, self.expect(rows=[{"prize": 1.5}, {}])).failures
        assert (failure.finding.fact, failure.finding.hint) == (
            "expected 1.5, found (nothing)",
            "prize: did you mean 'price'?",
        )


class TestMessages:
    """Values of messages."""

    def test_values(self, tmp_path: Path) -> None:
        """In part and exactly; nested ones by their path."""
        assert facts_of(tmp_path, {"messages": {"values": [[{"name": "a"}, {"price": 2}]]}}) == []
        assert facts_of(tmp_path, {"messages": {"values": [ITEMS], "match": "exact"}}) == []
        assert facts_of(tmp_path, {"messages": {"values": [[{"name": "a"}, {"price": 3}]]}}) == [
            "messages.values[0][1].price: expected 3, found 2"
        ]

    def test_rejected_ones_are_gone(self, tmp_path: Path) -> None:
        """A message that was rejected is none of them."""
        expect = {"messages": {"count": 1, "values": [[]]}, "dead_letters": [{"message": 0}]}
        assert facts_of(tmp_path, expect, {"text": "{"}, {"json": []}) == []


class TestDeadLetters:
    """Messages that were rejected."""

    BAD = ({"text": "{"}, {"json": []}, {"text": "}"})

    def test_as_expected(self, tmp_path: Path) -> None:
        """Which message, by which stage, with which reason and code; in any order."""
        letters = [{"message": 2, "reason_has": "JSON"}, {"message": 0, "stage": "parse", "reason": "no JSON", "code": "J1"}]
        assert facts_of(tmp_path, {"dead_letters": letters}, *self.BAD) == []

    def test_one_that_nobody_expects(self, tmp_path: Path) -> None:
        """A dead letter fails a case that does not speak of it."""
        outcome = outcome_of(tmp_path, {}, *self.BAD)
        assert outcome.failures[0].finding.fact == (
            "dead letter [0] is not expected: expected 0 dead letters, found 2; 1 more differs"
        )
        assert "no JSON" in outcome.failures[0].drawing

    def test_another_reason(self, tmp_path: Path) -> None:
        """What differs is said."""
        letters = [{"message": 0, "reason_has": "XML"}, {"message": 2}]
        assert facts_of(tmp_path, {"dead_letters": letters}, *self.BAD) == [
            "dead_letters[0].reason_has: expected ...XML..., found no JSON"
        ]

    def test_one_less(self, tmp_path: Path) -> None:
        """One that did not come."""
        letters = [{"message": 0}, {"message": 1}, {"message": 2}]
        assert facts_of(tmp_path, {"dead_letters": letters}, *self.BAD) == [
            "dead_letters[1]: there is no such dead letter: expected 3 dead letters, found 2"
        ]


class TestStages:
    """What there is behind a transform."""

    def test_behind_a_transform(self, tmp_path: Path) -> None:
        """Values, dead letters and tables as they leave it: the table comes later."""
        after = {
            "parse": {"messages": {"values": [ITEMS]}, "dead_letters": []},
            "spread": {"tables": {"items": {"rows": ROWS}}},
        }
        assert facts_of(tmp_path, {"after": after}) == []
        assert facts_of(tmp_path, {"after": {"parse": {"tables": {"items": {}}}}}) == [
            "after.parse.tables.items: there is no table 'items'"
        ]

    def test_dead_letters_so_far(self, tmp_path: Path) -> None:
        """Dead letters behind a transform are those so far; where they are not named they may be any."""
        expect = {"after": {"parse": {}}, "dead_letters": [{"message": 0}]}
        assert facts_of(tmp_path, expect, {"text": "{"}) == []
        assert facts_of(tmp_path, {**expect, "after": {"parse": {"dead_letters": []}}}, {"text": "{"}) == [
            "after.parse.dead_letters: dead letter [0] is not expected: expected 0 dead letters, found 1"
        ]


class TestSinks:
    """What sinks would get."""

    def test_what_they_want(self, tmp_path: Path) -> None:
        """A sink that names tables and columns gets those and no others; one that names none gets all."""
        sinks = "[{type: drain, name: some, tables: {items: [price, name]}}, {type: drain, name: all}]"
        write_spec(tmp_path, sinks=sinks)
        exact = {"tables": {"items": {"rows": ROWS, "match": "exact"}}}
        assert facts_of(tmp_path, {"sinks": {"some": exact, "all": {"tables": {"items": {"rows": ROWS}}}}}) == []
        assert facts_of(tmp_path, {"sinks": {"all": exact}}, **CLOCK) == [
            "sinks.all.tables.items.rows[0].key: expected (nothing), found k; 1 more differs"
        ]

    def test_what_does_not_arrive(self, tmp_path: Path) -> None:
        """What a sink wants in vain fails every case, though the case speaks of no sink: nobody could tell beforehand."""
        write_spec(tmp_path, sinks="[{type: drain, tables: {itms: [], items: [name, prize]}}]")
        failures = outcome_of(tmp_path, {}).failures
        assert [(f.finding.path, f.finding.fact, f.finding.hint) for f in failures] == [
            ("cases[0].expect.sinks.drain", "sink 'drain' wants table 'itms', which did not arrive", "did you mean 'items'?"),
            (
                "cases[0].expect.sinks.drain",
                "sink 'drain' wants column 'prize' of table 'items', which did not arrive",
                "did you mean 'price'?",
            ),
        ]


class TestErrors:
    """Errors that transforms raise."""

    @pytest.fixture(params=["drift", "bug", "opening"])
    def how(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        """One way in which the second of three transforms fails."""
        write_spec(tmp_path, transforms=f"[{{type: parse}}, {{type: fail, by: {request.param}}}, {{type: spread}}]")
        return str(request.param)

    def test_one_that_nobody_expects(self, tmp_path: Path, how: str) -> None:
        """It is told with its stage, class and reason, and where a bug is."""
        outcome = outcome_of(tmp_path, {"tables": {"items": {"count": 2}}})
        (failure,) = outcome.failures
        told = {"drift": "Drift: a column is gone", "bug": "KeyError: 'x'", "opening": "Unavailable: no way"}[how]
        assert (outcome.verdict, failure.finding.fact) == ("error", f"transform 'fail' raised {told}")
        assert ("toys.py:" if how == "bug" else "make one" if how == "opening" else "") in failure.finding.hint

    def test_expected(self, tmp_path: Path, how: str) -> None:
        """An error may be what is expected; what is not named of it is not compared."""
        word = {"drift": "Drift", "bug": "KeyError", "opening": "Unavailable"}[how]
        assert facts_of(tmp_path, {"error": {"type": word, "stage": "fail"}}) == []
        assert facts_of(tmp_path, {"error": {}}) == []
        assert facts_of(tmp_path, {"error": {"type": "Retry"}})[0].startswith(f"error.type: expected Retry, found {word}")

    def test_what_is_expected_behind_it(self, tmp_path: Path, how: str) -> None:
        """What was never reached is not as expected."""
        expect = {"error": {}, "after": {"spread": {}}, "messages": {"count": 1}}
        assert [fact for fact in facts_of(tmp_path, expect) if "cases" not in fact] == [
            "after.spread: transform 'spread' was not left, because of an error"
        ]
        assert "nothing leaves the last transform, because of an error" in str(outcome_of(tmp_path, expect).failures[-1])

    def test_closed(self, tmp_path: Path, how: str) -> None:
        """Every transform is closed once, whatever happened."""
        before = Fail.closed
        outcome_of(tmp_path, {"error": {}})
        assert Fail.closed == before + 1

    def test_before_it(self, tmp_path: Path) -> None:
        """What is behind the transforms before it is judged."""
        write_spec(tmp_path, transforms="[{type: parse}, {type: fail, by: bug}]")
        assert facts_of(tmp_path, {"error": {}, "after": {"parse": {"messages": {"count": 2}}}}) == [
            "after.parse.messages.count: expected 2, found 1"
        ]

    def test_that_does_not_come(self, tmp_path: Path) -> None:
        """None came."""
        assert facts_of(tmp_path, {"error": {"stage": "spread"}}) == ["error: no transform raised an error"]

    def test_hanging(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A transform that never answers ends its case, and no other."""
        monkeypatch.setattr("stockifyd.cases.running.LIMIT_SECS", 0.05)
        write_spec(tmp_path, transforms="[{type: fail, by: hanging}]")
        assert (
            outcome_of(tmp_path, {"error": {"stage": "fail", "type": "TimeoutError", "reason_has": "no answer"}}).failures == ()
        )


class TestClock:
    """What time it is."""

    def test_of_a_case(self, tmp_path: Path) -> None:
        """A component is told the case's clock, in UTC."""
        assert facts_of(tmp_path, SEEN, **CLOCK) == []

    def test_of_a_file(self, tmp_path: Path) -> None:
        """Else the file's; a case's own comes before it."""
        assert run(write_cases(tmp_path, case(SEEN), **CLOCK)).ok
        assert run(write_cases(tmp_path, case(SEEN, **CLOCK), clock="2020-01-01T00:00:00Z")).ok

    def test_none(self, tmp_path: Path) -> None:
        """Else it is what time it is."""
        assert len(facts_of(tmp_path, SEEN)) == 1
