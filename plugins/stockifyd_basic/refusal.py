"""What is wrong with an expression, and at which place: SQLite's refusals as findings for whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from stockifyd_basic.arriving import missing

_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?(?:\*/|$)|[^\W\d]\w*|\d[\w.]*|->>?|<>|[<>=!]=|\|\||\s+|.""",
    re.DOTALL,
)
_NO_COLUMN = re.compile(r"no such column: (?:t\.)?(?P<name>.+)", re.DOTALL)


class WrongExpressionError(ValueError):
    """What is wrong, with its place. `unknown` is the column's name, where that is all that is wrong."""

    def __init__(self, fact: str, unknown: str = "") -> None:
        super().__init__(fact)
        self.unknown = unknown

    @classmethod
    def of_column(cls, text: str, name: str, there: Iterable[str]) -> WrongExpressionError:
        """A column that is not there."""
        return cls(f"{_place(text, _find(text, name))}{missing(name, there)}", name)


def unknown_column(said: str) -> str:
    """The column that SQLite does not find, if that is its complaint."""
    found = _NO_COLUMN.fullmatch(said)
    return found["name"] if found else ""


def balanced(text: str) -> None:
    """Refuse an expression that closes a parenthesis of ours, or that has none in it."""
    depth, words = 0, list(_tokens(text))
    if all(word.isspace() or word.startswith(("--", "/*")) for _, word in words):
        raise WrongExpressionError("it is empty; write a condition, such as strike > 100")
    if "\0" in text:
        raise WrongExpressionError(f"{_place(text, text.index(chr(0)))}a character that no text may have (NUL)")
    for at, word in words:
        depth += (word == "(") - (word == ")")
        if depth < 0:
            raise WrongExpressionError(f"{_place(text, at)}')' without a '(' before it")
    if depth:
        raise WrongExpressionError(f"{_place(text, len(text))}{depth} ')' missing at the end")


def misquoted(text: str, columns: Iterable[str]) -> None:
    """Refuse a text in double quotes: SQLite takes it for a text only as long as no column is called so."""
    there = {name.casefold() for name in columns}
    for at, token in _tokens(text):
        if token.startswith('"') and token[1:-1].replace('""', '"').casefold() not in there:
            name = token[1:-1]
            raise WrongExpressionError(f"{_place(text, at)}no column {token}; a text stands in single quotes: '{name}'")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What SQLite refuses. `said_of` tells what it says of a beginning of the text."""

    text: str
    functions: Iterable[str]
    said_of: Callable[[str], str]

    def explained(self, said: str) -> WrongExpressionError:
        """In words, with the place."""
        for pattern, explain in _EXPLAINED:
            if found := pattern.match(said):
                return WrongExpressionError(explain(self, found))
        return WrongExpressionError(said)

    def near(self, found: re.Match[str]) -> str:
        """A word in the wrong place."""
        word = found["word"]
        # Of equal words the one that is meant: up to the one before it SQLite misses only the end.
        places = (at for at, one in _tokens(self.text) if one == word)
        at = next((at for at in places if _NEAR.match(self.said_of(self.text[: at + len(word)]))), -1)
        if at < 0:  # the parenthesis that we put behind it
            return self.end(found)
        hint = "; a column with the name of a keyword stands in double quotes" if word.isidentifier() else ""
        return f"{_place(self.text, at)}{word!r} cannot stand here{hint}"

    def no_word(self, found: re.Match[str]) -> str:
        """Something that cannot be read at all."""
        word = found["word"].removesuffix("\n)")
        at = next((at for at, one in _tokens(self.text) if one == word[0]), self.text.find(word))
        return f"{_place(self.text, at)}{word!r} is not closed, or is no word"

    def function(self, found: re.Match[str]) -> str:
        """One that is not there, or is called wrongly."""
        name, known = found["name"], sorted(one for one in self.functions if one.isidentifier())
        if "wrong number" in found.string:
            fact = f"wrong number of arguments to {name}()"
        elif name.casefold() in known:
            fact = f"{name}() of one argument is over many rows, and there is one; give it two"
        else:
            close = get_close_matches(name.casefold(), known, n=1)
            fact = f"no function {name}(); " + (f"did you mean {close[0]}()?" if close else f"there are {', '.join(known)}")
        return f"{_place(self.text, _find(self.text, name))}{fact}"

    def end(self, _found: re.Match[str]) -> str:
        """It is not finished."""
        return f"{_place(self.text, len(self.text.rstrip()))}something is missing at the end"

    def parameter(self, _found: re.Match[str]) -> str:
        """It wants a value that nobody gives."""
        return "it has a parameter (?, :name, @name or $name), and there is nothing to put there"

    def query(self, _found: re.Match[str]) -> str:
        """It is more than a condition."""
        return "only conditions over the columns of one row: no subqueries"


_NEAR = re.compile(r'near "(?P<word>.+)": syntax error$', re.DOTALL)
_EXPLAINED: tuple[tuple[re.Pattern[str], Callable[[Refusal, re.Match[str]], str]], ...] = (
    (_NEAR, Refusal.near),
    (re.compile(r'unrecognized token: "(?P<word>.+)"$', re.DOTALL), Refusal.no_word),
    (re.compile(r"misuse of (?:aggregate|window)(?: function)?:? (?P<name>\w+)"), Refusal.function),
    (re.compile(r"(?:no such|not authorized to use|wrong number of arguments to) function:? (?P<name>\w+)"), Refusal.function),
    (re.compile(r"incomplete input"), Refusal.end),
    (re.compile(r".*\bbindings?\b"), Refusal.parameter),
    (re.compile(r"not authorized|.*sub-select"), Refusal.query),
)


def _find(text: str, name: str) -> int:
    for at, token in _tokens(text):
        if name.casefold() in (token.casefold(), token[1:-1].casefold() if token[:1] in '"`[' else ""):
            return at
    return -1


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    return ((found.start(), found.group()) for found in _TOKEN.finditer(text))


def _place(text: str, at: int) -> str:
    """Line and column of a place, as far as it is known; lines only where there are several."""
    if at < 0:
        return ""
    before = text[:at]
    column = at - (before.rfind("\n") + 1) + 1
    return f"line {before.count(chr(10)) + 1}, column {column}: " if "\n" in text.strip() else f"column {column}: "
