"""Texts and JSON with places in them, such as `{symbol}`, which are filled for each series that is polled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

_PLACE = re.compile(r"\{([A-Za-z_]\w*)(?::([^{}]*))?\}")

Values = Mapping[str, str | int | float | bool | date]


class Place(NamedTuple):
    """`{name}`, or `{name:form}` for a day that is written otherwise than 2026-11-24."""

    name: str
    form: str

    def __str__(self) -> str:
        return f"{{{self.name}:{self.form}}}" if self.form else f"{{{self.name}}}"


def places(template: Any) -> Iterator[Place]:
    """All that is to be filled, also in lists and mappings."""
    if isinstance(template, str):
        yield from (Place(name, form) for name, form in _PLACE.findall(template))
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from places(value)
    elif isinstance(template, list | tuple):
        for value in template:
            yield from places(value)


def filled(template: Any, values: Values) -> Any:
    """The template with values; a text that is nothing but a place becomes its value, a number stays one."""
    if isinstance(template, str):
        if (whole := _PLACE.fullmatch(template)) and not isinstance(value := values[whole[1]], date):
            return value
        return text_filled(template, values)
    if isinstance(template, Mapping):
        return {key: filled(value, values) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [filled(value, values) for value in template]
    return template


def text_filled(template: str, values: Values, encoded: Callable[[str], str] = str) -> str:
    """A text with values, each of them `encoded`; what is no place stays as it is."""
    return _PLACE.sub(lambda found: encoded(_text(values[found[1]], found[2])), template)


def _text(value: str | float | bool | date, form: str | None) -> str:
    if isinstance(value, date):
        return value.strftime(form) if form else value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)
