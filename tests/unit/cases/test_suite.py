"""Reading test files: what is wrong with one is said with file, line, column, path and cure."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stockifyd.cases import case_files, load_suite
from stockifyd.spec import spec_files
from unit.cases.toys import REGISTRY, case, load, outcome_of, write_cases, write_spec

HEAD = "version: 1\npipeline: shop.yaml\n"


def found(folder: Path, text: str) -> list[str]:
    """What is wrong with a test file for `shop`, line by line, its folder left out."""
    write_spec(folder)
    findings = (str(finding).replace(f"{folder}/", "") for finding in load(folder, text).findings)
    return [line for finding in findings for line in finding.splitlines()]


def test_well(tmp_path: Path) -> None:
    """A file that is well has its cases, its spec and the messages of each case."""
    write_spec(tmp_path)
    suite = load(tmp_path, f"{HEAD}cases: [{{name: a, messages: [{{json: [1]}}], expect: {{}}}}]")
    assert (suite.ok, [one.name for one in suite.cases], [m.raw for m in suite.messages[0]]) == (True, ["a"], [b"[1]"])
    assert suite.spec is not None
    assert suite.spec.name == "shop"


def test_everything_at_once(tmp_path: Path) -> None:
    """All that does not fit the shape is found in one go, each at its place."""
    text = (
        f"{HEAD}tolerance: -1\ncases:\n  - name: a\n    messages: []\n    expect: {{tabels: {{}}, dead_letters: [{{row: 1}}]}}\n"
    )
    assert found(tmp_path, text) == [
        "shop.test.yaml:3:12: tolerance: '-1' is below the least allowed, 0",
        "  HINT: Numbers may differ by this, times the expected one where that is above 1.",
        "shop.test.yaml:6:15: cases[0].messages: a list has fewer entries than 1",
        "  HINT: What goes in, in place of the source.",
        "shop.test.yaml:7:14: cases[0].expect.tabels: unknown key",
        "  HINT: did you mean 'tables'?",
        "shop.test.yaml:7:42: cases[0].expect.dead_letters[0].row: unknown key",
        "  HINT: there are code, message, reason, reason_has and stage",
    ]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{}", "3:30: cases[0].messages[0]: a message without a body"),
        ("{json: 1, text: x}", "3:30: cases[0].messages[0]: json and text are one message's body"),
        ("{json: null, file: x}", "3:30: cases[0].messages[0]: json and file are one message's body"),
    ],
)
def test_bodies(tmp_path: Path, body: str, told: str) -> None:
    """A message has one body."""
    text = f"{HEAD}cases: [{{name: a, messages: [{body}], expect: {{}}}}]"
    assert found(tmp_path, text) == [f"shop.test.yaml:{told}", "  HINT: write one of json, text, base64, file and lines"]


def test_names_that_the_spec_does_not_know(tmp_path: Path) -> None:
    """Transforms, sinks and messages that are named are there."""
    expect = "{after: {spred: {dead_letters: [{stage: x}]}}, sinks: {drane: {}}, dead_letters: [{message: 1}], error: {stage: y}}"
    assert found(tmp_path, f"{HEAD}cases: [{{name: a, messages: [{{json: 1}}], expect: {expect}}}]") == [
        "shop.test.yaml:3:59: cases[0].expect.after.spred: pipeline 'shop' has no transform 'spred'",
        "  HINT: did you mean 'spread'?",
        "shop.test.yaml:3:90: cases[0].expect.after.spred.dead_letters[0].stage: pipeline 'shop' has no transform 'x'",
        "  HINT: there are parse and spread",
        "shop.test.yaml:3:105: cases[0].expect.sinks.drane: pipeline 'shop' has no sink 'drane'",
        "  HINT: did you mean 'drain'?",
        "shop.test.yaml:3:142: cases[0].expect.dead_letters[0].message: there is no message 1",
        "  HINT: the case has 1, counted from 0",
        "shop.test.yaml:3:162: cases[0].expect.error.stage: pipeline 'shop' has no transform 'y'",
        "  HINT: there are parse and spread",
    ]


def test_two_cases_of_one_name(tmp_path: Path) -> None:
    """A name tells cases apart."""
    one = "  - {name: a, messages: [{json: 1}], expect: {}}\n"
    assert found(tmp_path, f"{HEAD}cases:\n{one}{one}") == [
        "shop.test.yaml:5:12: cases[1].name: two cases are called 'a', the first in line 4",
        "  HINT: say what is different",
    ]


def test_a_time_without_an_offset(tmp_path: Path) -> None:
    """A time is an instant."""
    assert found(tmp_path, f"{HEAD}clock: 2026-11-24T09:15:00\ncases: [{{name: a, messages: [{{json: 1}}], expect: {{}}}}]") == [
        "shop.test.yaml:3:8: clock: expected `datetime` with a timezone component",
        "  HINT: a time is RFC 3339 with an offset, such as 2026-11-24T09:15:00+05:30",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: the file is empty"),
        ("a: [", "2:1: not YAML: did not find expected node content, while parsing a flow node"),
        ("[]", "1:1: expected a mapping, got a list"),
        ("version: 2\npipeline: shop\ncases: []", "1:10: version: expected 1, got '2'"),
    ],
)
def test_misfits(tmp_path: Path, text: str, told: str) -> None:
    """What is no test file is told so."""
    assert found(tmp_path, text)[0] == f"shop.test.yaml:{told}"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Neither a missing file nor a folder raises."""
    (suite,) = [load_suite(tmp_path / "no.test.yaml", REGISTRY)]
    assert str(suite.findings[0]) == f"{tmp_path}/no.test.yaml:1:1: cannot be read: no such file or directory"
    assert not load_suite(tmp_path, REGISTRY).ok


class TestSpec:
    """Which spec, and with which variables."""

    @pytest.mark.parametrize("named", ["shop", "shop.yaml", "./shop.yaml"])
    def test_beside(self, tmp_path: Path, named: str) -> None:
        """By path or by name, beside the test file."""
        write_spec(tmp_path)
        assert load_suite(write_cases(tmp_path, case({}), pipeline=named), REGISTRY).ok

    @pytest.mark.parametrize("named", ["shop", "../shop.yaml"])
    def test_above(self, tmp_path: Path, named: str) -> None:
        """By path or by name, in the folder above."""
        write_spec(tmp_path)
        (tmp_path / "tests").mkdir()
        assert load_suite(write_cases(tmp_path / "tests", case({}), pipeline=named), REGISTRY).ok

    def test_nowhere(self, tmp_path: Path) -> None:
        """A spec that is not there: where it was looked for."""
        (finding,) = load_suite(write_cases(tmp_path, case({}), pipeline="shop.yml"), REGISTRY).findings
        assert (finding.path, finding.fact, finding.hint) == (
            "pipeline",
            "there is no spec 'shop.yml'",
            f"looked for {tmp_path}/shop.yml",
        )

    def test_with_errors(self, tmp_path: Path) -> None:
        """A spec that is not well: said here, with its own findings."""
        write_spec(tmp_path, transforms="[{type: pars}]")
        findings = load_suite(write_cases(tmp_path, case({})), REGISTRY).findings
        assert [(Path(f.file).name, f.path) for f in findings] == [
            ("shop.test.yaml", "pipeline"),
            ("shop.yaml", "transforms[0].type"),
        ]

    def test_variables_of_the_source_need_not_be_set(self, tmp_path: Path) -> None:
        """What only the source needs does not matter."""
        path = write_spec(tmp_path)
        path.write_text(path.read_text().replace("{type: well}", "{type: well, address: '${SURELY_NOT_SET}'}"))
        assert outcome_of(tmp_path, {}).verdict == "passed"

    def test_variables_of_a_transform_must(self, tmp_path: Path, monkeypatch: Any) -> None:
        """A transform's variables come from the test file alone: the process's are not there."""
        monkeypatch.setenv("HOW", "bug")
        write_spec(tmp_path, transforms="[{type: fail, by: '${HOW}'}]")
        findings = load_suite(write_cases(tmp_path, case({})), REGISTRY).findings
        assert [(f.path, f.fact, f.hint) for f in findings][1:] == [
            ("transforms[0].by", "variable HOW is not set", "name it in `environment:` of the test file")
        ]
        assert load_suite(write_cases(tmp_path, case({}), environment={"HOW": "drift"}), REGISTRY).ok

    def test_dollars(self, tmp_path: Path) -> None:
        """In a test file a dollar is a dollar: nothing in it comes from outside."""
        write_spec(tmp_path)
        suite = load_suite(write_cases(tmp_path, case({}, {"json": "${HOME} $$"})), REGISTRY)
        assert [m.raw for m in suite.messages[0]] == [b'"${HOME} $$"']


def test_which_files(tmp_path: Path) -> None:
    """Of a folder all test files in and below it, by name; not hidden ones, and no specs. No test file is a spec."""
    (tmp_path / "tests").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("a.yaml", "b.test.yaml", "tests/c.test.yml", "tests/d.txt", ".hidden/e.test.yaml"):
        (tmp_path / name).touch()
    assert [str(p.relative_to(tmp_path)) for p in case_files([tmp_path])] == ["b.test.yaml", "tests/c.test.yml"]
    assert case_files([tmp_path, tmp_path / "b.test.yaml", "x"])[2:] == [Path("x")]
    assert [p.name for p in spec_files([tmp_path])] == ["a.yaml"]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200) | st.text("[]{}:-, \n'\"&*!|>%@#ab1", max_size=80).map(str.encode))
def test_fuzz(tmp_path: Path, content: bytes) -> None:
    """Whatever a file holds, reading it raises nothing and finds something."""
    path = tmp_path / "x.test.yaml"
    path.write_bytes(content)
    assert load_suite(path, REGISTRY).findings
