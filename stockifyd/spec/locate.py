"""Where in some options lies what msgspec, or a `__post_init__`, refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from stockifyd.spec.findings import Path

Options = dict[str, Any]

_AT = re.compile(r" - at `(?:key in )?\$(.*)`$", re.DOTALL)
_STEP = re.compile(r"\[(\d+|\.\.\.)\]|\.([^.\[]+)")
_SUBJECT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*): (.*)", re.DOTALL)
_OF_MSGSPEC = ("Expected ", "Invalid ", "Object ")


def locate(message: str, options: Options, configured: Callable[[Options], Any]) -> tuple[Path, str]:
    """The path below the options and the fact, of a message like "into: 'x' is no table - at `$.tables[...]`".

    `configured` refuses the options; it is asked again where msgspec does not name the entry of a mapping.
    """
    found = _AT.search(message)
    fact = message[: found.start()] if found else message
    path: Path = ()
    for index, key in _STEP.findall(found.group(1)) if found else ():
        step = key or (int(index) if index.isdigit() else _guilty(message, options, path=path, configured=configured))
        if not _has(_value(options, path), step):
            break
        path = (*path, step)
    subject = _SUBJECT.fullmatch(fact)
    if subject and _has(_value(options, path), subject[1]):
        path, fact = (*path, subject[1]), subject[2]
    return path, fact[:1].lower() + fact[1:] if fact.startswith(_OF_MSGSPEC) else fact


def _guilty(message: str, options: Options, *, path: Path, configured: Callable[[Options], Any]) -> str:
    """The entry of a mapping that is refused with the same words when it is the only one there."""
    entries = _value(options, path)
    for key in entries if isinstance(entries, dict) else ():
        try:
            configured(_replaced(options, path, {key: entries[key]}))
        except msgspec.ValidationError as error:
            if str(error) == message:
                return str(key)
        except Exception:  # noqa: BLE001, S112  options that nobody wrote may break a `__post_init__`: then it is not this entry
            continue
    return ""


def _replaced(options: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    below = _replaced(options[path[0]], path[1:], value)
    if isinstance(options, list):
        return [below if i == path[0] else one for i, one in enumerate(options)]
    return {**options, path[0]: below}


def _value(options: Any, path: Path) -> Any:
    for step in path:
        options = options[step]
    return options


def _has(options: Any, step: str | int) -> bool:
    if isinstance(options, dict):
        return step in options
    return isinstance(options, list) and isinstance(step, int) and step < len(options)
