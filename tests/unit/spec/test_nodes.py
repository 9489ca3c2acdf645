"""YAML into nodes."""

import pytest

from stockifyd.spec.nodes import MAX_BYTES, MAX_DEPTH, MAX_NODES, MapNode, ScalarNode, Unreadable, decode, parse


def refusal(text: str) -> tuple[int, int, str]:
    with pytest.raises(Unreadable) as caught:
        parse(text)
    return caught.value.mark.line, caught.value.mark.column, caught.value.fact


def test_marks() -> None:
    """Keys and values know their line and column, counted from 1."""
    root, _ = parse("a: 1\nb:\n  c: 'x'\n")
    assert isinstance(root, MapNode)
    inner = root.items["b"]
    assert isinstance(inner, MapNode)
    assert [tuple(m) for m in (root.keys["b"], inner.keys["c"], inner.items["c"].mark)] == [(2, 1), (3, 3), (3, 6)]


@pytest.mark.parametrize(("text", "plain"), [("x", True), ("'x'", False), ('"x"', False), ("|\n x", False), (">\n x", False)])
def test_plain(text: str, plain: bool) -> None:
    """Only a scalar without quotes or block indicator is plain."""
    root, _ = parse(text)
    assert isinstance(root, ScalarNode)
    assert plain == root.plain


def test_flaws() -> None:
    """Anchors, aliases, tags, duplicate keys and variables in keys are all found, and reading goes on."""
    _, flaws = parse("a: &x 1\nb: *x\nc: !!str 1\na: !mine [2]\n${D}: 1\n")
    assert [(flaw.mark.line, flaw.fact) for flaw in flaws] == [
        (1, "anchor &x is not allowed"),
        (2, "alias *x is not allowed"),
        (3, "tag 'tag:yaml.org,2002:str' is not allowed"),
        (4, "key 'a' is here twice, first in line 1"),
        (4, "tag '!mine' is not allowed"),
        (5, "key '${D}': variables stand in values only"),
    ]


def test_first_of_two_keys_counts() -> None:
    """Of a duplicate key the first value is kept, so that later findings are about what is read first."""
    root, _ = parse("a: 1\na: 2\n")
    assert isinstance(root, MapNode)
    assert ScalarNode(root.items["a"].mark, "1") == root.items["a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (1, 1, "the file is empty")),
        ("# only a comment\n", (1, 1, "the file is empty")),
        ("a: 1\n---\nb: 2\n", (2, 1, "a second document starts here")),
        ("? [a]\n: 1\n", (1, 3, "a key must be a word, here it is a list or mapping")),
        ("[" * (MAX_DEPTH + 1), (1, MAX_DEPTH + 1, f"nested deeper than {MAX_DEPTH} levels")),
        ("a: 1\nb: \x01", (2, 4, "not YAML: control characters are not allowed")),
    ],
)
def test_unreadable(text: str, expected: tuple[int, int, str]) -> None:
    """What is not one readable document says where and why."""
    assert expected == refusal(text)


def test_depth_allowed() -> None:
    """The deepest nesting that is allowed is read."""
    _, flaws = parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert flaws == []


def test_too_many_nodes() -> None:
    """A million tiny values are refused before they are kept."""
    assert f"over {MAX_NODES} values, keys and lists in one file" == refusal("- a\n" * (MAX_NODES + 1))[2]


def test_too_many_bytes() -> None:
    """A file over the cap is refused."""
    with pytest.raises(Unreadable, match="the most is 1048576"):
        decode(b"x" * (MAX_BYTES + 1))


def test_not_utf8() -> None:
    """The place of the first byte that is no UTF-8 is named."""
    with pytest.raises(Unreadable) as caught:
        decode(b"a: 1\nb: \xff")
    assert caught.value.mark == (2, 4)


def test_byte_order_mark() -> None:
    """A byte order mark is not part of the text."""
    assert decode(b"\xef\xbb\xbfa: 1") == "a: 1"


def test_tabs() -> None:
    """A tab as indentation gets a hint."""
    with pytest.raises(Unreadable) as caught:
        parse("a:\n\tb: 1\n")
    assert caught.value.hint == "YAML indents with spaces, not with tabs"


def test_placeholder_in_a_flow_list() -> None:
    """A bare placeholder inside brackets is not YAML; the hint says to quote it."""
    with pytest.raises(Unreadable) as caught:
        parse("topics: [${TOPIC}]\n")
    assert caught.value.hint == 'inside [ ] and { } write placeholders in quotes: "${NAME}"'
