"""What `validate` finds of generic transforms, and where."""

from __future__ import annotations

import pytest

from stockifyd.registry import Registry
from stockifyd.spec import loads

REGISTRY = Registry.load(built_in=True)
SPEC = """version: 1
name: look
source: {type: generate, template: {}}
transforms:
  - {type: flatten, table: quotes, columns: {kind: {type: text}, strike: {type: float}}}
  - type: filter
    table: quotes
    where: kind = 'CE' AND strike > 1
  - type: select
    table: quotes
    columns: [kind, strike]
    rename: {kind: side}
  - {type: deduplicate, table: quotes, key: [side]}
sinks:
  - {type: file, path: out.csv, format: csv, table: quotes}
delivery: {dead_letters: {sink: {type: stdout, table: dead_letters}}}
"""


def findings(spec: str) -> list[str]:
    return [str(finding) for finding in loads(spec.encode(), REGISTRY, file="s.yaml").findings]


def test_a_good_chain() -> None:
    """Nothing is found, and the guarantee is that of files."""
    loaded = loads(SPEC.encode(), REGISTRY, file="s.yaml")
    assert ((), "at_least_once") == (loaded.findings, loaded.guarantee)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("strike > 1", "strk > 1", "s.yaml:8:12: transforms[1].where: column 17: no column 'strk'; did you mean 'strike'?"),
        (
            "strike > 1",
            "AND",
            "s.yaml:8:12: transforms[1].where: column 17: 'AND' cannot stand here; a column with the name of a",
        ),
        ("[kind, strike]", "[kind, strik]", "s.yaml:11:14: transforms[2].columns: table 'quotes' has no column 'strik'; did you"),
        (
            "key: [side]",
            "key: [kind]",
            "s.yaml:13:45: transforms[3].key: table 'quotes' has no column 'kind'; there are 'side', 'strike'",
        ),
        (
            "table: quotes\n    where",
            "table: qotes\n    where",
            "s.yaml:7:12: transforms[1].table: no table 'qotes' arrives here",
        ),
        ("csv, table: quotes", "csv, table: quote", "s.yaml:15:46: sinks[0].table: no table 'quote' arrives here"),
    ],
)
def test_findings(old: str, new: str, expected: str) -> None:
    """Each at its option, with the likeliest cure, before anything runs."""
    assert old in SPEC
    [finding] = findings(SPEC.replace(old, new, 1))
    assert finding.startswith(expected)
