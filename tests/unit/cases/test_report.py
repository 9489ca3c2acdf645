"""What came of test files: as JSON, and as JUnit XML."""

from pathlib import Path
from xml.etree import ElementTree as ET

from stockifyd.cases import junit, run_files
from unit.cases.toys import REGISTRY, case, run, write_cases, write_spec


def one_of_each(folder: Path) -> Path:
    """A folder with cases that pass, fail and err, and a file that is bad."""
    write_spec(folder)
    passed = {**case({}), "name": "goes well"}
    failed = {**case({"tables": {"items": {"count": 5}}}), "name": 'is <not> "well" \x07'}
    erring = {**case({}, {"json": 5}), "name": "breaks"}
    write_cases(folder, passed, failed, erring)
    (folder / "bad.test.yaml").write_text("version: 1\npipeline: shop\ncases: 5\n")
    return folder


def test_json(tmp_path: Path) -> None:
    """Files, findings, cases, verdicts, failures with their place."""
    bad, well = run(one_of_each(tmp_path)).plain()["files"]
    assert (bad["pipeline"], bad["cases"], bad["findings"]) == (
        "",
        [],
        [
            {
                "file": f"{tmp_path}/bad.test.yaml",
                "line": 3,
                "column": 8,
                "path": "cases",
                "fact": "expected a list, got '5'",
                "hint": "",
            }
        ],
    )
    assert (well["pipeline"], [one["verdict"] for one in well["cases"]]) == ("shop", ["passed", "failed", "error"])
    (failure,) = well["cases"][1]["failures"]
    assert (failure["path"], failure["fact"], failure["drawing"]) == (
        "cases[1].expect.tables.items.count",
        "expected 5, found 2",
        "",
    )


def test_junit(tmp_path: Path) -> None:
    """One suite a file, one testcase a case; a bad file is an error. What XML cannot hold does not break it."""
    root = ET.fromstring(junit(run(one_of_each(tmp_path))))
    totals = {"tests": "4", "failures": "1", "errors": "2", "skipped": "0"}
    assert (root.tag, {key: root.get(key) for key in totals}) == ("testsuites", totals)
    bad, well = root
    assert [(child.tag, child.get("message")) for child in bad[0]] == [("error", "expected a list, got '5'")]
    assert [(one.get("name"), [child.tag for child in one]) for one in well] == [
        ("goes well", []),
        ('is <not> "well" \N{REPLACEMENT CHARACTER}', ["failure"]),
        ("breaks", ["error"]),
    ]
    assert (well.get("name"), well[1].get("classname"), well[1].get("line")) == (
        f"{tmp_path}/shop.test.yaml",
        f"{tmp_path}/shop.test.yaml",
        str(
            next(n for n, line in enumerate((tmp_path / "shop.test.yaml").read_text().splitlines(), 1) if "is <not>" in line) - 1
        ),
    )
    assert "expected 5, found 2" in str(well[1][0].text)
    assert float(str(root.get("time"))) >= 0


def test_wanted(tmp_path: Path) -> None:
    """Cases whose file or name has one of the words, in any case; a bad file is told all the same."""
    folder = one_of_each(tmp_path)

    def names(*wanted: str) -> list[str]:
        return [outcome.name for outcome in run_files([folder], REGISTRY, wanted).outcomes]

    assert names("GOES") == ["goes well"]
    assert names("goes", "breaks") == ["goes well", "breaks"]
    assert len(names("shop.test")) == 3
    assert names("nothing") == []
    assert run_files([folder], REGISTRY, ["goes"]).findings


def test_nothing_is_not_well(tmp_path: Path) -> None:
    """Where nothing ran, nothing passed."""
    assert not run(tmp_path).ok
