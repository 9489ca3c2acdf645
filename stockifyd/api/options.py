"""Options of components: one frozen Struct each, and values that must not be printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, Self

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of one component. Raise ValueError in `__post_init__` for what types cannot say.

    Describe an option once, where it is declared: `path: Annotated[str, Meta(description="...")]`. Help, the JSON
    Schema and the finding a user sees come from that. An option without a default is required.
    """


class Secret:
    """A value that prints as ***; `reveal()` where it is used, never where it is kept."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


def config_type(component: type[Any]) -> type[Config]:
    """The Struct between the brackets: `class Csv(Sink[CsvOptions])`; also of a base class."""
    for owner in component.__mro__:
        for base in owner.__dict__.get("__orig_bases__", ()):
            for argument in getattr(base, "__args__", ()):
                if isinstance(argument, type) and issubclass(argument, Config):
                    return argument
    raise TypeError(f"{component.__name__}: write its options in brackets, e.g. Sink[{component.__name__}Options]")


def configure(component: type[Any], options: Mapping[str, Any]) -> Config:
    """The component's options from plain values; msgspec.ValidationError names the path of what does not fit."""
    return msgspec.convert(dict(options), config_type(component), dec_hook=secret_hook)


def secret_hook(wanted: type, value: Any) -> Any:
    """Lets msgspec make a Secret of a string."""
    if wanted is not Secret:
        raise NotImplementedError(wanted)
    if not isinstance(value, str):
        raise TypeError(f"Expected `str`, got `{type(value).__name__}`: put it in quotes")
    return Secret(value)
