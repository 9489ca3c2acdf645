"""Templates of JSON: a text with places that are filled anew for each message, always in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from random import Random
from typing import Any, NamedTuple

import msgspec

_PLACE = re.compile(r"\{([a-z]+)((?::[^{}:]*)*)\}")


class Moment(NamedTuple):
    """What a message is made of."""

    number: int
    time: datetime
    random: Random


Fill = Callable[[Moment], str]


@dataclass(frozen=True, slots=True)
class Template:
    """JSON in pieces: texts, and what is asked for the text between them."""

    pieces: tuple[str | Fill, ...]

    @classmethod
    def of(cls, value: Any) -> Template:
        """ValueError names a placeholder that is none."""
        return cls(tuple(_joined(_pieces(value))))

    def filled(self, number: int, time: datetime, seed: int) -> bytes:
        """The JSON of one message."""
        moment = Moment(number, time, Random(seed))  # noqa: S311  it shall be the same again
        return "".join([piece if isinstance(piece, str) else piece(moment) for piece in self.pieces]).encode()


def _pieces(value: Any) -> Iterator[str | Fill]:
    if isinstance(value, Mapping):
        yield "{"
        for place, (key, item) in enumerate(value.items()):
            yield f"{',' if place else ''}{_json(str(key))}:"
            yield from _pieces(item)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for place, item in enumerate(value):
            yield "," if place else ""
            yield from _pieces(item)
        yield "]"
    elif isinstance(value, str):
        yield from _of_text(value)
    else:
        yield _json(value)


def _of_text(text: str) -> Iterator[str | Fill]:
    """A text that is one placeholder becomes its value; in a longer one it is a part of the text."""
    if whole := _PLACE.fullmatch(text):
        yield _fill(whole, alone=True)
        return
    yield '"'
    end = 0
    for found in _PLACE.finditer(text):
        yield _json(text[end : found.start()])[1:-1]
        yield _fill(found, alone=False)
        end = found.end()
    yield _json(text[end:])[1:-1]
    yield '"'


def _fill(found: re.Match[str], *, alone: bool) -> Fill:
    name, bounds = found[1], found[2].split(":")[1:]
    if name == "n" and not bounds:
        return lambda moment: str(moment.number)
    if name == "now" and not bounds:
        return (lambda moment: f'"{_time(moment.time)}"') if alone else (lambda moment: _time(moment.time))
    if name == "random" and not bounds:
        return lambda moment: repr(moment.random.random())
    if name == "random" and len(bounds) == 2:  # noqa: PLR2004
        return _between(found[0], *bounds)
    raise ValueError(f"{found[0]!r} is none of {{n}}, {{now}}, {{random}} and {{random:LOW:HIGH}}")


def _between(text: str, low: str, high: str) -> Fill:
    try:
        if "." not in low + high:
            first, size = int(low), int(high) - int(low) + 1
            if size > 0:
                return lambda moment: str(first + int(moment.random.random() * size))
        elif isfinite(start := float(low)) and isfinite(end := float(high)) and start <= end:
            return lambda moment: repr(round(start + moment.random.random() * (end - start), 6))
    except ValueError as error:
        raise ValueError(f"{text!r}: {low!r} and {high!r} must be numbers") from error
    raise ValueError(f"{text!r}: {low} is not below {high}")


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _joined(pieces: Iterator[str | Fill]) -> Iterator[str | Fill]:
    """Texts beside each other are one."""
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        yield text
        yield piece
        text = ""
    yield text
