"""What a JSON Schema refuses, as findings an operator can act on: all at once, each at its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

from jsonschema import Draft7Validator, ValidationError

from stockifyd.candidates import Role
from stockifyd.registry import Registry
from stockifyd.spec.document import MAX_FINDINGS, Document
from stockifyd.spec.findings import Path, did_you_mean, listed, quoted
from stockifyd.spec.nodes import ScalarNode
from stockifyd.spec.schema import Schema, compose

_WANTED = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "string": "a string",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}
_LIMITS = {
    "minimum": "is below the least allowed,",
    "maximum": "is above the most allowed,",
    "exclusiveMinimum": "must be above",
    "exclusiveMaximum": "must be below",
    "multipleOf": "must be a multiple of",
    "pattern": "does not match",
    "minLength": "is shorter than",
    "maxLength": "is longer than",
    "minItems": "has fewer entries than",
    "maxItems": "has more entries than",
    "minProperties": "has fewer keys than",
    "maxProperties": "has more keys than",
}


def check_shape(document: Document, registry: Registry) -> None:
    """Compare a document with the schema of its pipeline and note all that does not fit."""
    check_against(compose(registry), document, registry)


def check_against(schema: Schema, document: Document, registry: Registry) -> None:
    """Compare a document with a schema and note all that does not fit."""
    validator = Draft7Validator(schema)
    for error in _settled(document, validator):
        _Explanation(document, registry, error).note()
        if document.full:
            return


def component_at(path: Path) -> tuple[Path, Role] | None:
    """The component that a path lies in: its own path, and its role."""
    if path[:1] == ("source",):
        return path[:1], "source"
    if path[:3] == ("delivery", "dead_letters", "sink"):
        return path[:3], "sink"
    roles: dict[Any, Role] = {"transforms": "transform", "sinks": "sink"}
    return (path[:2], roles[path[0]]) if len(path) > 1 and path[0] in roles else None


def _settled(document: Document, validator: Draft7Validator) -> list[ValidationError]:
    """The errors that remain when values from outside have the type that is wanted: a password of digits is a string.

    Of a value that nobody knows nothing is wrong.
    """
    errors = _errors(document, validator)
    swapped = [_swap(document, error) for error in errors]
    if any(swapped):
        for path in {_path(error) for error in _errors(document, validator)} & document.filled.keys():
            document.put(path, document.filled[path].value)
        errors = _errors(document, validator)
    unknown = {path for path, filled in document.filled.items() if filled.missing}
    return [error for error in errors if _path(error) not in unknown]


def _swap(document: Document, error: ValidationError) -> bool:
    path = _path(error)
    filled = document.filled.get(path)
    if filled is None or error.validator not in ("type", "anyOf", "oneOf"):
        return False
    if not filled.missing:
        document.put(path, filled.text)
    elif (stand_in := _stand_in(_schema(error))) is not None:
        filled.value = stand_in
        document.put(path, stand_in)
    return True


def _stand_in(schema: Schema) -> Any:
    """A value of the type that is wanted, for one that nobody knows yet."""
    samples = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.0), "boolean": False}
    if schema.get("type") in samples:
        return samples[schema["type"]]
    return next((found for branch in _branches(schema) if (found := _stand_in(branch)) is not None), None)


def _errors(document: Document, validator: Draft7Validator) -> list[ValidationError]:
    every = islice(validator.iter_errors(document.data), 4 * MAX_FINDINGS)  # enough for a reader, and an end for a misfit
    return [leaf for error in every for leaf in _leaves(error)]


def _path(error: ValidationError) -> Path:
    return tuple(error.absolute_path)


def _schema(error: ValidationError) -> Schema:
    return dict(error.schema) if isinstance(error.schema, Mapping) else {}


def _branches(schema: Schema) -> list[Schema]:
    return [one for one in (schema.get("anyOf") or schema.get("oneOf") or []) if isinstance(one, dict)]


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Of a union, what is wrong in the one branch that was meant; the union's own error if none was."""
    by_branch: dict[Any, list[ValidationError]] = {}
    for below in error.context or ():
        by_branch.setdefault(below.schema_path[0], []).append(below)
    meant = [errors for errors in by_branch.values() if not _is_other(errors, _schema(error))]
    if str(error.validator) not in ("anyOf", "oneOf") or not meant:
        yield error
        return
    for below in min(meant, key=len):
        yield from _leaves(below)


def _is_other(errors: list[ValidationError], union: Schema) -> bool:
    """Is this branch of a union for another type of value, or for another tag?"""
    tag = union.get("discriminator", {}).get("propertyName")
    own = [e for e in errors if not e.path]
    return any(e.validator in ("type", "enum", "const") for e in own) or any(list(e.path) == [tag] for e in errors)


class _Explanation:
    """One error in words."""

    def __init__(self, document: Document, registry: Registry, error: ValidationError) -> None:
        self._document, self._registry, self._error = document, registry, error
        self._path = _path(error)
        self._schema = _schema(error)
        self._instance: Any = error.instance
        self._limit: Any = error.validator_value

    def note(self) -> None:
        """Tell the document."""
        match self._error.validator:
            case "additionalProperties":
                self._unknown_keys()
            case "required":
                self._missing_keys()
            case "enum" | "const" if self._is_type():
                self._unknown_type()
            case "type" | "enum" | "const" | "anyOf" | "oneOf":
                self._unwanted()
            case _:
                limit = _bound(self._limit)
                fact = f"{self._got()} {_LIMITS.get(str(self._error.validator), 'is refused by')} {limit}"
                self._document.report(self._path, fact, str(self._schema.get("description", "")))

    def _is_type(self) -> bool:
        owner = component_at(self._path)
        return owner is not None and self._path == (*owner[0], "type")

    def _unknown_keys(self) -> None:
        known = list(self._schema.get("properties", ()))
        owner = component_at(self._path)
        word = str(self._document.value((*owner[0], "type"))) if owner else ""
        fact = f"unknown option for {owner[1]} {quoted(word)}" if owner else "unknown key"
        see = f" See `stockifyd plugins show {word}`." if owner and self._registry.get(owner[1], word) else ""
        for key in self._instance:
            if key not in known and not self._document.full:
                self._document.report_key((*self._path, key), fact, f"{did_you_mean(key, known)}{see}".strip())

    def _missing_keys(self) -> None:
        properties = self._schema.get("properties", {})
        closed = self._schema.get("additionalProperties") is False
        misspelt = [key for key in self._instance if key not in properties] if closed else []  # those are told so themselves
        for key in self._limit:
            if key not in self._instance and not get_close_matches(key, misspelt):
                help_text = properties.get(key, {}).get("description", "")
                self._document.report(self._path, f"{key!r} is missing", f"add `{key}: ...`. {help_text}".strip())

    def _unknown_type(self) -> None:
        owner = component_at(self._path)
        if owner is None or not isinstance(self._instance, str):
            self._unwanted()
            return
        role, word = owner[1], self._instance
        if broken := self._registry.why_missing(role, word):
            self._document.report(self._path, f"{role} {self._got()} is not there", f"{broken}. See `stockifyd plugins list`.")
            return
        others = [entry.role for entry in self._registry.entries if entry.type == word]
        fact = f"{self._got()} is a {listed(others)}, not a {role}" if others else f"there is no {role} {self._got()}"
        skipped = [problem.plugin for problem in self._registry.problems]
        also = f"; skipped as broken: {listed(skipped)}. See `stockifyd plugins list`." if skipped else ""
        self._document.report(self._path, fact, f"{did_you_mean(word, self._registry.types(role))}{also}".removeprefix("; "))

    def _unwanted(self) -> None:
        wanted, words = _wanted(self._schema), _words(self._schema)
        instance = self._instance
        hint = did_you_mean(instance, words) if isinstance(instance, str) and words else ""
        if "string" in _types(self._schema) and not isinstance(instance, (str, dict, list)):
            hint = "quote it"
        self._document.report(self._path, f"expected {listed(wanted, 'or')}, got {self._got()}", hint)

    def _got(self) -> str:
        """The value as the file has it; never what a variable holds, never a secret."""
        if isinstance(self._instance, (dict, list)):
            return _WANTED["object" if isinstance(self._instance, dict) else "array"]
        if _is_secret(self._schema):
            return "***"
        node = self._document.node(self._path)
        text = node.text if isinstance(node, ScalarNode) else ""
        held = "what stands behind " if self._path in self._document.filled else ""
        return f"{held}{quoted(text)}" if text or not getattr(node, "plain", False) else "nothing"


def _bound(limit: Any) -> str:
    """A limit of a schema, as it is printed."""
    return quoted(limit) if isinstance(limit, str) else str(limit)


def _types(schema: Schema) -> list[str]:
    return [schema["type"]] if isinstance(schema.get("type"), str) else [t for b in _branches(schema) for t in _types(b)]


def _words(schema: Schema) -> list[str]:
    own = [word for word in schema.get("enum", ()) if isinstance(word, str)]
    return own or [word for branch in _branches(schema) for word in _words(branch)]


def _wanted(schema: Schema) -> list[str]:
    if "enum" in schema:
        return [repr(word) for word in schema["enum"]]
    if "const" in schema:
        return [repr(schema["const"])]
    if "$ref" in schema:
        return [_WANTED["object"]]
    return [_WANTED.get(t, t) for t in _types(schema)] if "type" in schema else [w for b in _branches(schema) for w in _wanted(b)]


def _is_secret(schema: Schema) -> bool:
    return schema.get("format") == "secret" or any(map(_is_secret, _branches(schema)))
