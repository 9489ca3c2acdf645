"""The JSON Schema of test files: what loading checks and an editor completes by."""

from __future__ import annotations

import msgspec

from stockifyd.cases.model import BODIES, CaseFile
from stockifyd.spec.schema import Schema

FILE_NAME = "test.schema.json"


def compose(*, editor: bool = False) -> Schema:
    """The schema. `editor`: also that a message has one body, which loading says in better words."""
    _, definitions = msgspec.json.schema_components([CaseFile], ref_template="#/$defs/{name}")
    root = definitions.pop("CaseFile")
    if editor:
        definitions["Input"]["oneOf"] = [{"required": [body]} for body in BODIES]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **root,
        "title": "stockifyd test file",
        "$defs": dict(sorted(definitions.items())),
    }
