"""Names of tables and columns in SQL: quoted, always."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def quote(name: str) -> str:
    """An identifier as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Iterable[str]) -> str:
    """Several identifiers, quoted, with commas."""
    return ", ".join(quote(name) for name in names)


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def qualified(target: tuple[str, str]) -> str:
    """Schema and table; an empty schema is left out."""
    return ".".join(quote(part) for part in target if part)


def guess(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing."""
    close = get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
