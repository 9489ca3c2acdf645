"""The schema of test files that editors get."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from stockifyd.cases.schema import FILE_NAME, compose
from stockifyd.spec.schema import rendered

ROOT = Path(__file__).parents[3]
EDITOR = Draft7Validator(compose(editor=True))


def edited(*messages: dict[str, Any], **expect: Any) -> list[str]:
    file = {"version": 1, "pipeline": "x", "cases": [{"name": "a", "messages": list(messages), "expect": expect}]}
    return [".".join(map(str, error.absolute_path)) for error in EDITOR.iter_errors(file)]


def test_is_a_schema() -> None:
    """It is a schema of the draft that editors know."""
    Draft7Validator.check_schema(compose(editor=True))


def test_valid() -> None:
    """A file with everything in it has no errors."""
    rows = {"rows": [{"a": 1}], "include": [{}], "count": 1, "match": "exact", "order": "any", "tolerance": 0.1}
    values = {"values": [1, None], "include": [[]]}
    letter = {"message": 0, "stage": "s", "reason": "r", "reason_has": "r", "code": "c"}
    stage = {"tables": {"t": rows}, "messages": values, "dead_letters": [letter]}
    assert edited({"json": None}, {"text": "x", "key": "k"}, **stage, after={"s": stage}, sinks={"x": {"messages": values}}) == []


@pytest.mark.parametrize("message", [{}, {"json": 1, "text": "x"}, {"jsn": 1}, {"text": 5}])
def test_refuses_what_loading_refuses(message: dict[str, Any]) -> None:
    """An editor sees a message without a body, with two, and misspelt words."""
    assert set(edited(message)) == {"cases.0.messages.0" if message != {"text": 5} else "cases.0.messages.0.text"}


def test_committed_schema_is_fresh() -> None:
    """The file in the repository is what the model says."""
    committed = (ROOT / "schemas" / FILE_NAME).read_text()
    assert rendered(compose(editor=True)) == committed, "run: stockifyd schema --built-in --write schemas"


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").rglob("*.test.yaml")), ids=lambda path: path.name)
def test_files_by_the_committed_schema(path: Path) -> None:
    """An editor finds nothing wrong in the test files of the repository, and they say by which schema to complete."""
    schema = json.loads((ROOT / "schemas" / FILE_NAME).read_text())
    assert list(Draft7Validator(schema).iter_errors(yaml.safe_load(path.read_text()))) == []
    first = path.read_text().splitlines()[0]
    assert (path.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve() == ROOT / "schemas" / FILE_NAME
