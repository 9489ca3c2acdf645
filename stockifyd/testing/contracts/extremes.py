"""Values as bad as they come: what a far side keeps of them must be what it was given, or it must say that it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from stockifyd.api import Row

TEXTS = (
    "",
    " leading and trailing ",
    "NULL",
    "null",
    r"\N",
    'it\'s "quoted"; -- and \\ commented',
    "comma, semicolon; tab\t, line\nfeed, \r return",
    "नमस्ते 漢字 ñ 🎉 \u200f\u202e",
    "e\u0301 is not \u00e9",
    "\x00",
    "\x1f\x7f\u2028",
    "\ud800",
    "x" * 100_000,
)
BODIES = (
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe\xc3",
    "नमस्ते 漢字 🎉".encode(),
    b"null",
    b'{"a": "b, c;d\te"}',
    b"x" * 100_000,
)
"""Messages without an end of line: what carries lines cannot carry more."""

_INTS = (0, -1, 2**31 - 1, 2**31, -(2**63), 2**63 - 1, 2**63, 10**30)
_FLOATS = (0.0, -0.0, 1e-308, 1.7976931348623157e308, 0.1 + 0.2, float("inf"), float("-inf"), float("nan"))
_TIMES = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
_DATES = (date(1, 1, 1), date(9999, 12, 31))


def extremes_of(row_of: Callable[[int], Row], first: int) -> Iterator[Row]:
    """Row after row, each with one value replaced by None or by an extreme one of its type; the others are of its number."""
    number = first
    for at, value in enumerate(row_of(first)):
        for extreme in (None, *_extremes(value)):
            row = row_of(number)
            yield *row[:at], extreme, *row[at + 1 :]
            number += 1


def alike(one: Row, other: Row) -> bool:
    """Whether rows hold the same values of the same types; NaN is like NaN, and 1 is not like True."""
    return len(one) == len(other) and all(map(_alike, one, other))


def _extremes(value: Any) -> Sequence[Any]:
    for kinds, found in ((str, TEXTS), (bool, (True, False)), (int, _INTS), (float, _FLOATS), (datetime, _TIMES), (date, _DATES)):
        if isinstance(value, kinds):
            return found
    return ()


def _alike(one: Any, other: Any) -> bool:
    both_nan = one != one and other != other  # noqa: PLR0124  # only NaN is unlike itself
    return (type(one) is type(other) or {type(one), type(other)} == {int, float}) and (one == other or both_nan)
