"""What is expected beside what was found, cell by cell: the values of YAML beside those of Python."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from stockifyd.spec.findings import Path


class Absent(enum.Enum):
    """Stands where there is nothing."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


_READERS: Sequence[tuple[type[Any], Callable[[str], Any]]] = (
    (datetime, datetime.fromisoformat),  # before date, which it is too
    (date, date.fromisoformat),
    (time, time.fromisoformat),
    (bytes, str.encode),
    (Decimal, Decimal),
)


@dataclass(frozen=True, slots=True)
class Part:
    """Expected: a text that has this in it."""

    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """How things are compared. `exact`: what is not expected may not be there."""

    exact: bool = False
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a row, or of a message's value; `path` is where in it."""

    path: Path
    expected: Any
    found: Any
    equal: bool


def cells(expected: Any, found: Any, rule: Rule, path: Path = ()) -> Iterator[Cell]:
    """What is expected, value by value; where the rule is exact also what was found beside it."""
    found = opened(found)
    if isinstance(expected, dict) and isinstance(found, dict):
        yield from _of_mappings(expected, found, rule, path)
    elif isinstance(expected, list) and isinstance(found, list):
        yield from _of_lists(expected, found, rule, path)
    else:
        yield Cell(path, expected, found, is_equal(expected, found, rule.tolerance))


def opened(value: Any) -> Any:
    """A value with keys as a dict, one with items as a list; any other as it is."""
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        return {encoded: getattr(value, name) for name, encoded in names}
    if isinstance(value, Mapping):
        return {str(key): one for key, one in value.items()}
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        return list(value)
    return value.value if isinstance(value, enum.Enum) and value is not ABSENT else value


def is_equal(expected: Any, found: Any, tolerance: float = 0.0) -> bool:
    """Does a value of YAML stand for a value of Python? A time by its instant, a number by its value, bytes as UTF-8."""
    if isinstance(expected, Part):
        return isinstance(found, str) and expected.text in found
    if expected is None or expected is ABSENT or found is None or found is ABSENT:
        return expected is found
    if isinstance(expected, bool) or isinstance(found, bool):
        return isinstance(expected, bool) and isinstance(found, bool) and expected == found
    if isinstance(expected, (int, float)):
        return _is_number(expected, found, tolerance)
    return _is_text(expected, found) if isinstance(expected, str) else expected == found


def _of_mappings(expected: dict[str, Any], found: dict[str, Any], rule: Rule, path: Path) -> Iterator[Cell]:
    for key, value in expected.items():
        yield from cells(value, found.get(key, ABSENT), rule, (*path, key))
    for key in found if rule.exact else ():
        if key not in expected:
            yield Cell((*path, key), ABSENT, found[key], equal=False)


def _of_lists(expected: list[Any], found: list[Any], rule: Rule, path: Path) -> Iterator[Cell]:
    for index in range(max(len(expected), len(found))):
        here = (*path, index)
        if index < len(expected):
            yield from cells(expected[index], found[index] if index < len(found) else ABSENT, rule, here)
        else:
            yield Cell(here, ABSENT, found[index], equal=False)


def _is_number(expected: float, found: Any, tolerance: float) -> bool:
    if not isinstance(found, (int, float, Decimal)):
        return False
    if tolerance == 0:
        return found == (Decimal(repr(expected)) if isinstance(found, Decimal) else expected)
    try:
        return abs(float(found) - expected) <= tolerance * max(1.0, abs(expected))
    except OverflowError:  # an integer that no float holds
        return found == expected


def _is_text(expected: str, found: Any) -> bool:
    if isinstance(found, (int, float, dict, list)):
        return False
    read = next((read for kind, read in _READERS if isinstance(found, kind)), None)
    try:
        return bool(expected == str(found) if read is None else read(expected) == found)
    except (ValueError, InvalidOperation):
        return False
