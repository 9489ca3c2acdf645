"""Golden cases: what a folder says, and what is told where something else is made."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Batch, Config, Message, Reject, Row, Table, Tables, Transform
from stockifyd.testing import Case, golden, make


class PairsOptions(Config, frozen=True):
    """How a message is cut."""

    mark: str = "="


class Pairs(Transform[PairsOptions]):
    """Cuts text in two."""

    type = "pairs"

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("pairs", ("left", "right"), self._rows)

    def tables(self, before: Tables) -> Tables:
        return {**before, "pairs": ("left", "right")}

    def _rows(self, message: Message) -> list[Row]:
        left, found, right = message.raw.partition(self.config.mark.encode())
        if not found:
            raise Reject("cannot be cut")
        return [(left.decode(), right.decode())]


FILES = {
    "input.jsonl": "a=1\nb\nc=3\n",
    "expected/pairs.jsonl": '["left", "right"]\n["a", "1"]\n["c", "3"]\n',
    "expected/dead_letters.jsonl": '{"offset": 1, "reason": "cannot be cut"}\n',
}


def case(folder: Path, **files: str) -> Case:
    for name, text in (FILES | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Case(folder)


def refusal(one: Case, *transforms: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        one.check(*transforms or (Pairs,))
    return str(caught.value)


def test_what_is_expected(tmp_path: Path) -> None:
    """Tables and dead letters as in the folder are no difference."""
    case(tmp_path / "cut").check(Pairs)


def test_the_difference_is_shown(tmp_path: Path) -> None:
    """The lines that differ, as in any diff, under the name of the case, and how to take what is made for right."""
    changed = FILES["expected/pairs.jsonl"].replace('"3"', '"4"')
    assert refusal(case(tmp_path / "cut", **{"expected/pairs.jsonl": changed})).splitlines() == [
        "cut: something else is made",
        "--- expected/pairs.jsonl",
        "+++ made: pairs",
        "@@ -2,2 +2,2 @@",
        ' ["a", "1"]',
        '-["c", "4"]',
        '+["c", "3"]',
        "HINT: if that is right: STOCKIFYD_GOLDEN=write pytest ..., and look at what it wrote.",
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (
            "expected/dead_letters.jsonl",
            '{"offset": 2, "reason": "cannot be cut"}\n',
            '+{"offset": 1, "reason": "cannot be cut"}',
        ),
        ("expected/pairs.jsonl", '["left"]\n["a", "1"]\n["c", "3"]\n', '+["left", "right"]'),
        ("expected/others.jsonl", '["left"]\n', '-["left"]'),
    ],
)
def test_each_part_is_compared(name: str, text: str, line: str, tmp_path: Path) -> None:
    """Dead letters, columns, and a table that is not made."""
    assert line in refusal(case(tmp_path / "cut", **{name: text})).splitlines()


def test_nothing_expected_yet(tmp_path: Path) -> None:
    """A new case shows all that is made."""
    one = case(tmp_path / "cut")
    for path in (tmp_path / "cut" / "expected").iterdir():
        path.unlink()
    assert '+["a", "1"]' in refusal(one).splitlines()


def test_options(tmp_path: Path) -> None:
    """The folder's options are the transform's; a component that is made already keeps its own."""
    one = case(tmp_path / "cut", **{"options.yaml": "mark: ':'\n", "input.jsonl": "a:1\nb\nc:3\n"})
    one.check(Pairs)
    assert "cannot be cut" in refusal(one, make(Pairs))


def test_messages_in_files(tmp_path: Path) -> None:
    """Of a folder `input` each file is a message, whatever is in it, in the order of names."""
    (tmp_path / "cut").mkdir()
    for name, body in (("2", b"c=3"), ("0", b"a=1\n=2"), ("1", b"\xff")):
        path = tmp_path / "cut" / "input" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(body)
    assert [b"a=1\n=2", b"\xff", b"c=3"] == [message.raw for message in Case(tmp_path / "cut").batch.messages]


def test_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked to, it writes what is made, takes away what is not made any more, and is content from then on."""
    one = case(tmp_path / "cut", **{"expected/others.jsonl": "[]\n", "expected/pairs.jsonl": "[]\n"})
    monkeypatch.setenv("STOCKIFYD_GOLDEN", "write")
    one.check(Pairs)
    monkeypatch.delenv("STOCKIFYD_GOLDEN")
    one.check(Pairs)
    assert not (tmp_path / "cut" / "expected" / "others.jsonl").exists()
    assert (tmp_path / "cut" / "expected" / "pairs.jsonl").read_text() == FILES["expected/pairs.jsonl"]


def test_values_of_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times, days, bytes and half a surrogate pair are lines of text; 1 and 1.0 are not the same."""
    one = case(tmp_path / "cut")
    row = (datetime(2026, 11, 24, 3, 45, tzinfo=UTC), date(2026, 11, 24), b"\xff", "\ud800 ñ", 1, 1.0, None, True)
    monkeypatch.setenv("STOCKIFYD_GOLDEN", "write")
    one.compare(Batch(()).with_table("t", Table(tuple("abcdefgh"), [row], [])))
    assert (one.folder / "expected" / "t.jsonl").read_text().splitlines()[1] == (
        r'["2026-11-24T03:45:00+00:00", "2026-11-24", "\\xff", "\ud800 ñ", 1, 1.0, null, true]'
    )


def test_a_folder_without_cases(tmp_path: Path) -> None:
    """No case is no test: said when tests are collected, not passed over."""
    with pytest.raises(ValueError, match="there is no case in"):
        golden(tmp_path)


def test_each_case_is_a_test(tmp_path: Path) -> None:
    """A test runs once for each folder, under its name."""
    case(tmp_path / "one")
    case(tmp_path / "two")
    assert ["one", "two"] == [parameter.id for parameter in golden(tmp_path).args[1]]
