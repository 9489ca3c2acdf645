"""What a case says that transforms find outside: they are told it, and open nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from unit.cases.toys import case, facts_of, outcome_of, run, write_cases, write_spec

ASKING = "[{type: parse}, {type: ask, name: prices}]"
MESSAGE = {"json": [{"name": "a"}, {"name": "b"}]}
Outside = Mapping[str, Sequence[Mapping[str, Any]]]


def found(folder: Path, outside: Outside, transforms: str = ASKING) -> list[str]:
    """What is wrong with a case of which this is outside, line by line, without the file's name."""
    write_spec(folder, transforms)
    findings = run(write_cases(folder, case({}, MESSAGE, outside=outside))).findings
    lines = (line for finding in findings for line in str(finding).splitlines())
    return [line.split(": ", 1)[1] if ".test.yaml" in line else line.strip() for line in lines]


def test_told(tmp_path: Path) -> None:
    """The transform is told, by its name, what there is."""
    write_spec(tmp_path, ASKING)
    rows = [{"name": "a", "price": 2}, {"name": "b", "price": None}]
    outcome = outcome_of(tmp_path, {"tables": {"asked": {"rows": rows}}}, MESSAGE, outside={"prices": [rows[0]]})
    assert outcome.verdict == "passed"


def test_nothing_is_there(tmp_path: Path) -> None:
    """An empty list says that nothing is found."""
    write_spec(tmp_path, ASKING)
    expect = {"tables": {"asked": {"rows": [{"name": "a", "price": None}, {"name": "b", "price": None}]}}}
    assert facts_of(tmp_path, expect, MESSAGE, outside={"prices": []}) == []


def test_a_case_that_does_not_say(tmp_path: Path) -> None:
    """It ends with an error that says what to write; nobody is asked."""
    write_spec(tmp_path, ASKING)
    outcome = outcome_of(tmp_path, {}, MESSAGE)
    (failure,) = outcome.failures
    assert outcome.verdict == "error"
    fact = "the case does not say what 'prices' (ask) finds outside"
    assert failure.finding.fact == f"transform 'prices' raised Drift: {fact}"
    assert failure.finding.hint.startswith("write `outside: {prices: [...]}` into the case")


def test_each_case_by_itself(tmp_path: Path) -> None:
    """What one case is told the next one does not know."""
    write_spec(tmp_path, ASKING)
    told = [case({}, MESSAGE, outside={"prices": [{"name": "a", "price": 1}]}), case({}, MESSAGE, outside={"prices": []})]
    prices = ([1, None], [None, None])
    cases = [
        {**one, "name": str(n), "expect": {"tables": {"asked": {"rows": [{"price": price} for price in prices[n]]}}}}
        for n, one in enumerate(told)
    ]
    assert run(write_cases(tmp_path, *cases)).ok


@pytest.mark.parametrize(
    ("outside", "told"),
    [
        (
            {"price": []},
            ["cases[0].outside.price: this pipeline has no transform 'price'", "HINT: did you mean 'prices'?"],
        ),
        (
            {"parse": [], "prices": []},
            [
                "cases[0].outside.parse: this transform takes nothing from outside",
                "HINT: of this pipeline 'prices' may be told",
            ],
        ),
        (
            {"prices": [{"name": "a"}, {"name": "b", "price": "much"}]},
            ["cases[0].outside.prices[1].price: 'much' is no price", "HINT: see `stockifyd plugins show ask`"],
        ),
    ],
)
def test_findings(tmp_path: Path, outside: Outside, told: list[str]) -> None:
    """A name that nobody has, a transform that asks nobody, and rows that it does not take, are findings at their places."""
    assert found(tmp_path, outside) == told


def test_nobody_asks(tmp_path: Path) -> None:
    """Of a pipeline that asks nobody the hint says so."""
    assert found(tmp_path, {"parse": []}, "[{type: parse}]") == [
        "cases[0].outside.parse: this transform takes nothing from outside",
        "HINT: of this pipeline none does: leave `outside` out",
    ]


def test_a_bug_is_the_cases(tmp_path: Path) -> None:
    """What is no ValueError is a bug of the transform: its case shows where, and the others run."""
    write_spec(tmp_path, ASKING)
    outcome = outcome_of(tmp_path, {}, MESSAGE, outside={"prices": [{}]})
    assert outcome.verdict == "error"
    assert outcome.failures[0].finding.fact == "transform 'prices' raised KeyError: 'name'"
    assert "toys.py" in outcome.failures[0].finding.hint
