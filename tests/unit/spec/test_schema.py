"""The schema that editors get."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from kit.toys import VALID, registry
from stockifyd.registry import Registry
from stockifyd.spec import loads
from stockifyd.spec.schema import FILE_NAME, compose, rendered

ROOT = Path(__file__).parents[3]
REGISTRY = registry()
EDITOR = Draft7Validator(compose(REGISTRY, placeholders=True))


def edited(text: str) -> list[str]:
    return [".".join(map(str, error.absolute_path)) for error in EDITOR.iter_errors(yaml.safe_load(text))]


def test_is_a_schema() -> None:
    """It is a schema of the draft that editors know."""
    Draft7Validator.check_schema(compose(REGISTRY, placeholders=True))


def test_valid() -> None:
    """A valid spec has no errors."""
    assert edited(VALID.decode()) == []


@pytest.mark.parametrize(
    "change",
    [
        ("rate: 20", "raet: 20"),
        ("rate: 20", "rate: 0"),
        ("type: tub", "type: tubb"),
        ("version: 1", "version: 2"),
        ("into: kept", "x: kept"),
    ],
)
def test_refuses_what_loading_refuses(change: tuple[str, str]) -> None:
    """Mistakes in a shape are errors in the editor as they are on loading."""
    text = VALID.decode().replace(*change)
    assert (len(edited(text)) > 0, loads(text.encode(), REGISTRY).ok) == (True, False)


@pytest.mark.parametrize("option", ["rate", "mode", "burst", "password"])
def test_placeholders(option: str) -> None:
    """An editor sees `${...}` as a string and accepts it for every scalar option."""
    assert edited(VALID.decode().replace("rate: 20", f"{option}: ${{X:-1}}")) == []


def test_words_are_not_placeholders() -> None:
    """Other strings are still refused where a number is wanted."""
    assert edited(VALID.decode().replace("rate: 20", "rate: many")) == ["source.rate"]


def option(schema: dict[str, Any], role: str, type_: str, name: str) -> dict[str, Any]:
    branch = next(b for b in schema["$defs"][role]["allOf"] if b["if"]["properties"]["type"]["const"] == type_)
    found: dict[str, Any] = branch["then"]["properties"][name]
    return found


def test_descriptions_and_defaults() -> None:
    """Options carry their description and default, types the first line of their docs."""
    schema = compose(REGISTRY)
    assert option(schema, "source", "tap", "rate") == {
        "description": "Messages a second.",
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": 10,
    }
    assert schema["$defs"]["source"]["properties"]["type"]["enumDescriptions"] == ["Is heard once or never.", "Drips messages."]


def test_secret() -> None:
    """A secret is a string of format `secret`."""
    assert {"type": "string", "format": "secret"} in option(compose(REGISTRY), "source", "tap", "password")["anyOf"]


def test_nested_mappings_are_closed() -> None:
    """A Struct inside the options refuses unknown keys, though its author did not say so."""
    assert compose(REGISTRY)["$defs"]["Into"]["additionalProperties"] is False


def test_rendered_alike() -> None:
    """The same registry gives the same bytes."""
    assert rendered(compose(REGISTRY)) == rendered(compose(registry()))


def test_committed_schema_is_fresh() -> None:
    """The file in the repository is what the built-in plugins say."""
    committed = (ROOT / "schemas" / FILE_NAME).read_text()
    fresh = rendered(compose(Registry.load(built_in=True), placeholders=True))
    assert json.loads(fresh) == json.loads(committed), "run: stockifyd schema --built-in --write schemas"
    assert fresh == committed


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.name)
def test_pipelines_by_the_committed_schema(path: Path) -> None:
    """An editor finds nothing wrong in the pipelines of the repository."""
    schema = json.loads((ROOT / "schemas" / FILE_NAME).read_text())
    assert list(Draft7Validator(schema).iter_errors(yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.name)
def test_pipelines_are_valid(path: Path) -> None:
    """The pipelines of the repository have no findings, not even warnings."""
    loaded = loads(path.read_bytes(), Registry.load(built_in=True), file=str(path), strict=False, environ={})
    assert [str(finding) for finding in loaded.findings] == []
