"""What a component can do and takes, for people: options with type, default and description, and a sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from stockifyd.api import Sink, Source
from stockifyd.discovery import Entry, schema_hook
from stockifyd.spec.guarantee import PLAIN, of_sink
from stockifyd.spec.schema import Schema, docs

_UNSHOWN = "***"
_NO_TEXT = {"true", "false", "null", "on", "off", "yes", "no", "y", "n"}
"""Words that some reader of YAML takes for something else."""
_SIGNS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


@dataclass(frozen=True, slots=True)
class Option:
    """One option; nested ones have a dotted name: `tables.<name>.into`."""

    name: str
    type: str
    required: bool
    default: Any
    description: str


@dataclass(frozen=True, slots=True)
class Description:
    """A component for people."""

    role: str
    type: str
    plugin: str
    version: str
    docs: str
    guarantee: str
    options: tuple[Option, ...]
    sample: str


def describe(entry: Entry) -> Description:
    """All that is known of a component without making one."""
    schema = msgspec.json.schema(entry.config, schema_hook=schema_hook)
    definitions = schema["$defs"]
    options = tuple(_options(definitions[schema["$ref"].rpartition("/")[2]], definitions, ""))
    return Description(
        role=entry.role,
        type=entry.type,
        plugin=entry.plugin,
        version=entry.version,
        docs=docs(entry),
        guarantee=guarantee(entry),
        options=options,
        sample=_sample(entry, definitions[schema["$ref"].rpartition("/")[2]], definitions),
    )


def guarantee(entry: Entry) -> str:
    """What a sink or a source means for the promise of a pipeline, in plain words."""
    if issubclass(entry.component, Sink):
        return PLAIN[of_sink(Source, entry.component)]
    if issubclass(entry.component, Source):
        return "can be read again after a crash" if entry.component.replayable else PLAIN["at_most_once"]
    return ""


def _options(schema: Schema, definitions: dict[str, Schema], prefix: str) -> Iterator[Option]:
    required = schema.get("required", ())
    for name, option in schema.get("properties", {}).items():
        yield Option(
            name=f"{prefix}{name}",
            type=_type(option, definitions),
            required=name in required,
            default=None if name in required else option.get("default", _UNSHOWN if _is_secret(option) else None),
            description=option.get("description", ""),
        )
        below, infix = _nested(option, definitions)
        if below is not None and prefix.count(".") < 4:  # noqa: PLR2004  a type may contain itself; nobody reads deeper
            yield from _options(below, definitions, f"{prefix}{name}{infix}.")


def _nested(option: Schema, definitions: dict[str, Schema]) -> tuple[Schema | None, str]:
    """The Struct inside an option, and how a path goes on to it."""
    if "$ref" in option:
        found = definitions[option["$ref"].rpartition("/")[2]]
        return (found, "") if "properties" in found else (None, "")
    for key, infix in (("additionalProperties", ".<name>"), ("items", "[]")):
        if isinstance(option.get(key), dict):
            found_below, more = _nested(option[key], definitions)
            return found_below, infix + more
    refs = [one for one in option.get("anyOf", ()) if one.get("type") != "null"]
    return _nested(refs[0], definitions) if len(refs) == 1 else (None, "")


def _type(schema: Schema, definitions: dict[str, Schema]) -> str:
    if "$ref" in schema:
        found = definitions[schema["$ref"].rpartition("/")[2]]
        return "mapping" if "properties" in found else _type(found, definitions)
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(word) for word in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(one, definitions) for one in schema["anyOf"]))
    for key, word in (("items", "list of"), ("additionalProperties", "mapping of")):
        if isinstance(schema.get(key), dict):
            return f"{word} {_type(schema[key], definitions)}"
    limits = [f"{sign} {schema[key]}" for key, sign in _SIGNS.items() if key in schema]
    return " ".join(["secret" if schema.get("format") == "secret" else str(schema.get("type", "any")), *limits])


def _sample(entry: Entry, schema: Schema, definitions: dict[str, Schema]) -> str:
    """A piece of a spec: required options with an example, the others commented out with their defaults."""
    required = schema.get("required", ())
    lines = [f"type: {entry.type}"]
    for name, option in schema.get("properties", {}).items():
        if name in required:
            lines.append(f"{name}: {_flow(_example(option, definitions))}")
        elif "default" in option:
            lines.append(f"# {name}: {_flow(option['default'])}")
    if entry.role == "source":
        return "\n".join(["source:", *(f"  {line}" for line in lines)]) + "\n"
    return "\n".join([f"{entry.role}s:", f"  - {lines[0]}", *(f"    {line}" for line in lines[1:])]) + "\n"


def _example(schema: Schema, definitions: dict[str, Schema]) -> Any:
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "default" in schema:
        return schema["default"]
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], definitions)
    if "$ref" in schema:
        found = definitions[schema["$ref"].rpartition("/")[2]]
        inner = found.get("properties", {})
        return {n: _example(inner[n], definitions) for n in found.get("required", ())} if inner else _example(found, definitions)
    return _example_of_type(schema, definitions)


def _example_of_type(schema: Schema, definitions: dict[str, Schema]) -> Any:
    if schema.get("type") == "array":
        return [_example(schema["items"], definitions)] if isinstance(schema.get("items"), dict) else []
    if schema.get("type") == "object":
        below = schema.get("additionalProperties")
        return {"example": _example(below, definitions)} if isinstance(below, dict) else {}
    plain = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.0), "boolean": False, "null": None}
    return plain.get(schema.get("type", ""), "${SECRET}" if schema.get("format") == "secret" else "example")


def _is_secret(schema: Schema) -> bool:
    return schema.get("format") == "secret"


def _flow(value: Any) -> str:
    """A value in one line of YAML, as people write it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and value.replace("_", "").replace(".", "").isalpha() and value.lower() not in _NO_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)
