"""Calendar files: YAML into what a calendar knows, and everything that is wrong with its place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import yaml

from stockifyd.api.calendar import ExpiryRule, session_of

T = TypeVar("T")
Hours = tuple[tuple[timedelta, timedelta], ...]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SHIPPED = Path(__file__).parents[1] / "calendars"
MAX_BYTES = 2**20
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOUR = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
NAME = re.compile(r"[a-z0-9_-]+")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def located(given: str | Path) -> Path:
    """The file that is meant; ValueError for the name of a calendar that does not ship."""
    if isinstance(given, Path) or not NAME.fullmatch(given):
        return Path(given)
    if not (path := SHIPPED / f"{given}.yaml").is_file():
        names = ", ".join(sorted(one.stem for one in SHIPPED.glob("*.yaml")))
        raise ValueError(f"no calendar {given!r} ships, but {names}; of a file write its path, such as ./{given}.yaml")
    return path


def read(path: Path) -> dict[str, Any]:
    """The fields of a Calendar; ValueError with every finding, one a line."""
    reader = _Reader(str(path))
    try:
        found = reader.take(_composed(path), lambda root: _calendar(reader, root))
    except RecursionError:
        raise ValueError(f"{path}: nested too deep") from None
    if reader.findings or found is None:
        raise ValueError("\n".join(reader.findings))
    return found


def _composed(path: Path) -> yaml.Node:
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise ValueError(f"{path} has {len(data)} bytes, the most is {MAX_BYTES}")
        node = yaml.compose(data.decode(), Loader=_Loader)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ValueError(f"{path}{where}: this is no YAML: {getattr(error, 'problem', '') or 'not one document'}") from error
    if node is None:
        raise ValueError(f"{path}:1:1: the file is empty")
    return node


def _calendar(reader: _Reader, root: yaml.Node) -> dict[str, Any]:
    must = {"version", "name", "timezone", "known_from", "known_until", "weekdays", "hours"}
    keys = reader.fields(root, must, {"holidays", "special", "unknown", "expiries"})
    reader.one(keys, "version", _version)
    zone = reader.one(keys, "timezone", _zone) or ZoneInfo("UTC")
    special = reader.one(keys, "special", lambda node: reader.days(node, reader.special)) or {}
    found = {
        "name": reader.one(keys, "name", _text),
        "zone": zone,
        "known_from": reader.one(keys, "known_from", _day),
        "known_until": reader.one(keys, "known_until", _day),
        "weekdays": frozenset(reader.one(keys, "weekdays", lambda node: reader.many(node, _weekday)) or ()),
        "usual": reader.one(keys, "hours", reader.hours),
        "holidays": reader.one(keys, "holidays", lambda node: reader.days(node, _text)) or {},
        "special": {day: session_of(day, hours, zone, name) for day, (name, hours) in special.items()},
        "unknown": reader.one(keys, "unknown", lambda node: reader.days(node, _text)) or {},
        "expiries": reader.one(keys, "expiries", lambda node: reader.mapping(node, lambda r: reader.many(r, reader.rule))) or {},
    }
    _agree(reader, keys, found)
    return found


def _agree(reader: _Reader, keys: Mapping[str, yaml.Node], found: Mapping[str, Any]) -> None:
    """What no field can say by itself."""
    first, last = found["known_from"], found["known_until"]
    if first and last and first > last:
        reader.note(keys["known_until"], f"known_until {last} is before known_from {first}")
    for day in sorted(found["unknown"].keys() & (found["holidays"].keys() | found["special"].keys())):
        reader.note(keys["unknown"], f"{day} is unknown, and yet among holidays or special")


class _Flaw(Exception):
    """What is wrong with a node."""

    def __init__(self, node: yaml.Node, fact: str) -> None:
        super().__init__(fact)
        self.node, self.fact = node, fact


class _Reader:
    """Takes values out of nodes. A flaw is noted, and what it is in goes on without it, so that all are found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[str] = []

    def note(self, node: yaml.Node, fact: str) -> None:
        self.findings.append(f"{self.file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}: {fact}")

    def take(self, node: yaml.Node, convert: Callable[[yaml.Node], T | None]) -> T | None:
        """A node's value; None where it has a flaw."""
        try:
            return convert(node)
        except _Flaw as flaw:
            self.note(flaw.node, flaw.fact)
            return None

    def one(self, keys: Mapping[str, yaml.Node], name: str, convert: Callable[[yaml.Node], T | None]) -> T | None:
        return self.take(keys[name], convert) if name in keys else None

    def fields(self, node: yaml.Node, must: set[str], may: set[str]) -> dict[str, yaml.Node]:
        """A mapping with these keys."""
        keys = self.mapping(node, lambda below: below)
        for name in sorted(must - keys.keys()):
            self.note(node, f"{name!r} is missing")
        for key, _ in node.value:
            if key.value not in must | may:
                close = difflib.get_close_matches(str(key.value), sorted(must | may), 1)
                cure = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(must | may))}"
                self.note(key, f"{str(key.value)!r} is not known; {cure}")
        return keys

    def mapping(self, node: yaml.Node, convert: Callable[[yaml.Node], T | None]) -> dict[str, T]:
        """A mapping's values by their keys, each key once."""
        if not isinstance(node, yaml.MappingNode):
            raise _Flaw(node, "a mapping is expected here, `key: value`")
        found: dict[str, T] = {}
        for key, below in node.value:
            name, value = self.take(key, _text), self.take(below, convert)
            if name is not None and name in found:
                self.note(key, f"{name!r} is there twice")
            elif name is not None and value is not None:
                found[name] = value
        return found

    def many(self, node: yaml.Node, convert: Callable[[yaml.Node], T | None]) -> list[T]:
        """A list of at least one."""
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise _Flaw(node, "a list with at least one entry is expected here")
        return [value for below in node.value if (value := self.take(below, convert)) is not None]

    def days(self, node: yaml.Node, convert: Callable[[yaml.Node], T | None]) -> dict[date, T]:
        """A mapping by dates."""
        found = self.mapping(node, convert)
        keys = {key.value: key for key, _ in node.value}
        return {day: value for name, value in found.items() if (day := self.take(keys[name], _day)) is not None}

    def hours(self, node: yaml.Node) -> Hours:
        """Pairs of times, each after the one before it."""
        pairs = self.many(node, self._pair)
        if any(begin < end for (_, end), (begin, _) in pairwise(pairs)):
            raise _Flaw(node, "hours overlap, or are not in order")
        return tuple(pairs)

    def _pair(self, node: yaml.Node) -> tuple[timedelta, timedelta] | None:
        keys = self.fields(node, {"open", "close"}, set())
        begin, end = self.one(keys, "open", _hour), self.one(keys, "close", _hour)
        if begin is None or end is None:
            return None
        if begin >= end:
            raise _Flaw(node, "close is not after open")
        return begin, end

    def special(self, node: yaml.Node) -> tuple[str, Hours] | None:
        keys = self.fields(node, {"name", "hours"}, set())
        name, hours = self.one(keys, "name", _text), self.one(keys, "hours", self.hours)
        return (name, hours) if name and hours else None

    def rule(self, node: yaml.Node) -> ExpiryRule | None:
        keys = self.fields(node, {"from"}, {"until", "weekly", "monthly"})
        start, end = self.one(keys, "from", _day), self.one(keys, "until", _day)
        if not keys.keys() & {"weekly", "monthly"}:
            raise _Flaw(node, "'weekly' or 'monthly' is missing: on which weekday it expires")
        weekly, monthly = self.one(keys, "weekly", _weekday), self.one(keys, "monthly", _weekday)
        return None if start is None else ExpiryRule(start, end or date.max, weekly=weekly, monthly=monthly)


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise _Flaw(node, "a word is expected here")
    return str(node.value)


def _version(node: yaml.Node) -> None:
    if _text(node) != "1":
        raise _Flaw(node, "version: 1 is the only one there is")


def _day(node: yaml.Node) -> date:
    text = _text(node)
    if not DATE.fullmatch(text):
        raise _Flaw(node, f"{text!r} is not a date, 2026-01-26")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _Flaw(node, f"{text!r} is not a day of any calendar") from None


def _weekday(node: yaml.Node) -> int:
    text = _text(node)
    if text not in WEEKDAYS:
        raise _Flaw(node, f"{text!r} is not one of {', '.join(WEEKDAYS)}")
    return WEEKDAYS.index(text)


def _zone(node: yaml.Node) -> ZoneInfo:
    text = _text(node)
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise _Flaw(node, f"{text!r} is not a zone, Asia/Kolkata") from None


def _hour(node: yaml.Node) -> timedelta:
    """Time since midnight; 24:00 is the end of the day."""
    text = _text(node)
    if not HOUR.fullmatch(text):
        raise _Flaw(node, f"{text!r} is not a time, 09:15")
    return timedelta(hours=int(text[:2]), minutes=int(text[3:]))
