"""No input crashes the loader, and the editor's schema never refuses what it accepts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from kit.toys import VALID, registry
from stockifyd.spec import Loaded, loads
from stockifyd.spec.document import read
from stockifyd.spec.schema import compose

REGISTRY = registry()
EDITOR = Draft7Validator(compose(REGISTRY, placeholders=True))
PIECES = [
    *(
        b"\n",
        b" ",
        b"  ",
        b":",
        b": ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"&a ",
        b"*a",
        b"!!str ",
        b"---\n",
        b"? ",
        b"|\n",
        b"'",
        b'"',
        b"#",
    ),
    *(
        b"${A}",
        b"${B:-1}",
        b"${",
        b"$$",
        b"${file:x}",
        b"${credential:x}",
        b"null",
        b"true",
        b"1",
        b"1.5",
        b".nan",
        b"\x00",
        b"\xff",
        b"\t",
    ),
    *(
        b"type",
        b"tub",
        b"jar",
        b"tables",
        b"name",
        b"required",
        b"delivery",
        b"dead_letters",
        b"sink",
        b"guarantee",
        b"exactly_once",
    ),
]


def well_formed(loaded: Loaded) -> bool:
    """A spec or an error or an unknown value; every finding in a line and a hint, at a place."""
    printed = all(len(str(f).splitlines()) == 1 + bool(f.hint) and f.mark >= (1, 1) for f in loaded.findings)
    return printed and (loaded.spec is not None or bool(loaded.findings)) and not (loaded.spec and not loaded.ok)


@given(st.binary(max_size=200))
def test_bytes(content: bytes) -> None:
    """Any bytes give findings or a spec."""
    assert well_formed(loads(content, REGISTRY, environ={}))


@given(st.text(max_size=200))
def test_text(content: str) -> None:
    """Any text too."""
    assert well_formed(loads(content.encode("utf-8", "surrogatepass"), REGISTRY, environ={}))


@settings(max_examples=400)
@given(
    st.lists(st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4),
    st.booleans(),
)
def test_mutated(edits: list[tuple[int, int, bytes]], strict: bool) -> None:
    """A valid spec with pieces cut out and put in gives findings or a spec."""
    content = VALID
    for at, cut, piece in edits:
        content = content[:at] + piece + content[at + cut :]
    assert well_formed(loads(content, REGISTRY, strict=strict, environ={"A": "x: [1]"}))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["tub", "tap", "${A}", "${B:-3}"]),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["type", "name", "tables", "into", "x"]), below, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(st.sampled_from(["version", "name", "source", "transforms", "sinks", "delivery"]), values)
def test_any_value_anywhere(key: str, value: object) -> None:
    """Any value in the place of any top-level key gives findings or a spec."""
    import yaml

    plain = yaml.safe_load(VALID)
    content = yaml.safe_dump(plain | {key: value}, allow_unicode=True).encode("utf-8", "surrogatepass")
    assert well_formed(loads(content, REGISTRY, environ={}))


@pytest.mark.parametrize("old", [b"rate: 20", b"batch_max_rows: 100"])
@given(value=st.sampled_from(["${N:-5}", "5", "'${N:-5}'"]))
def test_editor_accepts_what_loads(old: bytes, value: str) -> None:
    """What loads without errors, an editor with the schema finds right as well, placeholders as they are written."""
    content = VALID.replace(old, old.partition(b":")[0] + b": " + value.encode())
    if loads(content, REGISTRY, environ={}).ok:
        import yaml

        assert list(EDITOR.iter_errors(yaml.safe_load(content))) == []
    assert read("x", content, {}, strict=True).data is not None
