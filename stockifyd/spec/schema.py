"""The JSON Schema of a pipeline, composed from a registry: what `validate` checks and an editor completes by."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from stockifyd.candidates import Role
from stockifyd.discovery import Entry, schema_hook
from stockifyd.registry import Registry
from stockifyd.spec.model import Delivery

Schema = dict[str, Any]

FILE_NAME = "pipeline.schema.json"
NAME_PATTERN = "^[a-z][a-z_]*$"
PLACEHOLDER: Schema = {
    "description": "`${NAME}`, `${NAME:-default}`, `${file:path}` or `${credential:name}`: resolved when the spec is read.",
    "type": "string",
    "pattern": r"\$\{[^}]*\}",
}

_COMPONENT_NAME: Schema = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]*$",
    "maxLength": 63,
    "description": "What this component is called in logs, metrics and the ledger; default: its type.",
}
_REQUIRED: Schema = {
    "type": "boolean",
    "default": True,
    "description": "false: the checkpoint does not wait for this sink; what it misses is counted and said.",
}
_ANY_PLACEHOLDER: Schema = {"$ref": "#/$defs/placeholder"}
_SCALARS = frozenset({"integer", "number", "boolean", "null"})
_CONSTRAINTS = frozenset({"enum", "const", "pattern", "format", "minLength", "maxLength"})
_ANNOTATIONS = ("title", "description", "default")


def compose(registry: Registry, *, placeholders: bool = False) -> Schema:
    """The schema. `placeholders`: accept `${...}` for every scalar, as an editor must, which sees the file as written."""
    entries = registry.entries
    references, definitions = _definitions(entries)
    schema: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "stockifyd pipeline",
        "description": "One source, transforms in order, sinks.",
        "type": "object",
        "required": ["version", "name", "source", "sinks"],
        "additionalProperties": False,
        "properties": _properties(definitions),
        "$defs": {},
    }
    for role in ("source", "transform", "sink"):
        ours = [(e, definitions[references[e.role, e.type].rpartition("/")[2]]) for e in entries if e.role == role]
        schema["$defs"][role] = _role(role, ours)
    used = {reference.rpartition("/")[2] for reference in references.values()}
    schema["$defs"] |= {name: definitions[name] for name in sorted(definitions) if name not in used and name != "Delivery"}
    closed = _closed(schema)
    if not placeholders:
        return closed
    loosened = _loosened(closed)
    return {**loosened, "$defs": {**loosened["$defs"], "placeholder": PLACEHOLDER}}


def rendered(schema: Schema) -> str:
    """The text of a schema file: the same schema gives the same text."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _definitions(entries: tuple[Entry, ...]) -> tuple[dict[tuple[Role, str], str], dict[str, Schema]]:
    types = [*dict.fromkeys(entry.config for entry in entries), Delivery]
    schemas, definitions = msgspec.json.schema_components(types, schema_hook=schema_hook, ref_template="#/$defs/{name}")
    by_type = {config: schema["$ref"] for config, schema in zip(types, schemas, strict=True)}
    return {(e.role, e.type): by_type[e.config] for e in entries}, definitions


def _properties(definitions: Mapping[str, Schema]) -> Schema:
    delivery = {k: v for k, v in definitions["Delivery"].items() if k != "title"}
    dead_letters = {
        "description": "Where rejected messages go, if no sink keeps a ledger (one that does stores them itself).",
        "type": "object",
        "required": ["sink"],
        "additionalProperties": False,
        "properties": {"sink": {"$ref": "#/$defs/sink", "description": "An ordinary sink; it gets the table `dead_letters`."}},
    }
    name = "The pipeline's name: in logs, metrics, and of the instances (`storage-1`)."
    return {
        "version": {"const": 1, "description": "The version of this format: 1."},
        "name": {"type": "string", "pattern": NAME_PATTERN, "maxLength": 63, "description": name},
        "source": {"$ref": "#/$defs/source", "description": "Where messages come from."},
        "transforms": {
            "type": "array",
            "items": {"$ref": "#/$defs/transform"},
            "maxItems": 100,
            "default": [],
            "description": "What is done to each batch, in order.",
        },
        "sinks": {
            "type": "array",
            "items": {"$ref": "#/$defs/sink"},
            "minItems": 1,
            "maxItems": 100,
            "description": "Where batches are made durable. Each needs a `name` as soon as there are two.",
        },
        "delivery": {**delivery, "properties": {**delivery["properties"], "dead_letters": dead_letters}},
    }


def _role(role: str, entries: list[tuple[Entry, Schema]]) -> Schema:
    common: Schema = {"name": _COMPONENT_NAME} | ({"required": _REQUIRED} if role == "sink" else {})
    branches = []
    for entry, options in entries:
        branches.append(
            {
                "if": {"properties": {"type": {"const": entry.type}}, "required": ["type"]},
                "then": {
                    "description": summary(entry),
                    "properties": {"type": {"const": entry.type}, **common, **options.get("properties", {})},
                    "required": ["type", *options.get("required", ())],
                    "additionalProperties": False,
                },
            }
        )
    word: Schema = {"enum": [e.type for e, _ in entries], "enumDescriptions": [summary(e) for e, _ in entries]}
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {**word, "description": f"The type of {role}: `stockifyd plugins list`."}},
        "allOf": branches,
    }


def docs(entry: Entry) -> str:
    """The help text of a component: its class's own docstring."""
    return inspect.cleandoc(entry.component.__doc__ or "")


def summary(entry: Entry) -> str:
    """The first line of a component's help."""
    return docs(entry).partition("\n")[0]


def _mapped(schema: Schema, change: Callable[[Any], Any], but: str = "") -> Schema:
    """A schema, with all schemas directly inside it changed."""
    done = dict(schema)
    for key in ("properties", "$defs"):
        if key in done:
            done[key] = {name: change(one) for name, one in done[key].items()}
    for key in ("items", "prefixItems", "additionalProperties", "anyOf", "allOf", "oneOf", "if", "then"):
        if isinstance(done.get(key), list):
            done[key] = [change(one) for one in done[key]]
        elif isinstance(done.get(key), dict) and key != but:
            done[key] = change(done[key])
    return done


def _closed(schema: Schema) -> Schema:
    """Every mapping with named keys refuses others; tuples as draft 7 writes them, which editors know."""
    done = _mapped(schema, _closed)
    if "prefixItems" in done:
        done["items"], done["additionalItems"] = done.pop("prefixItems"), False
    if done.get("type") == "object" and done.get("properties") and "allOf" not in done:
        done.setdefault("additionalProperties", False)
    return done


def _loosened(schema: Schema) -> Schema:
    """A schema that accepts placeholders for scalars; what `if` compares stays as it is."""
    if _is_scalar(schema):
        notes = {key: schema[key] for key in _ANNOTATIONS if key in schema}
        return {**notes, "anyOf": [{k: v for k, v in schema.items() if k not in notes}, _ANY_PLACEHOLDER]}
    done = _mapped(schema, _loosened, but="if")
    if "anyOf" in done:
        done["anyOf"] = [*done["anyOf"], _ANY_PLACEHOLDER]
    return done


def _is_scalar(schema: Schema) -> bool:
    if not {"type", "enum", "const"}.intersection(schema):
        return False
    return schema.get("type") in _SCALARS or (
        schema.get("type", "string") == "string" and bool(_CONSTRAINTS.intersection(schema))
    )
