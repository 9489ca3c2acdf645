"""What holds of every component, whatever its role."""
# ruff: noqa: ARG002, PT017, SIM300  # hooks with arguments that defaults ignore; what is expected stands first in an assert

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec
import pytest

from stockifyd.api import Component, Context, Drift, Secret, Tables, Unavailable, config_type, configure
from stockifyd.testing.facts import fact, outside, settle
from stockifyd.testing.making import make_context

K = TypeVar("K", bound=Component[Any])

SECRET_NAMES = re.compile(r"(^|_)(password|passphrase|secret|token|api_key)$")


class ComponentContract(Generic[K]):
    """The base of the three contracts: options, constructor, `open` and `close`."""

    def options(self, tmp_path: Path) -> dict[str, Any]:
        """Options that work, as YAML would give them; called more than once, and always with the same answer."""
        raise NotImplementedError

    def break_it(self, component: K) -> Awaitable[None] | None:
        """Make the far side go away or refuse; the component may be open or not. Optional: its facts are skipped."""
        pytest.skip(f"{type(self).__name__} gives no break_it")

    def mend_it(self, component: K) -> Awaitable[None] | None:
        """Undo `break_it`."""
        pytest.skip(f"{type(self).__name__} gives no mend_it")

    def kind(self) -> type[K]:
        """The component's class."""
        raise NotImplementedError

    def tables(self) -> Tables | None:
        """The tables that reach the component, for its context."""
        return None

    def make(self, tmp_path: Path, *, consumer: str = "contract") -> K:
        """A component, not opened."""
        kind = self.kind()
        given = make_context(kind.type, self.tables())
        context = Context(consumer, given.name, given.log, consumer=consumer, tables=given.tables)
        return kind(configure(kind, self.options(tmp_path)), context)

    @asynccontextmanager
    async def opened(self, tmp_path: Path, *, consumer: str = "contract") -> AsyncIterator[K]:
        """A component that is open inside the `async with`."""
        component = self.make(tmp_path, consumer=consumer)
        try:
            await component.open()
            yield component
        finally:
            await component.close()

    def test_type_and_help(self) -> None:
        """A component has a word that users write, and a docstring that tells them what it does."""
        kind = self.kind()
        assert re.fullmatch("[a-z][a-z0-9_]*", kind.type), f"type is {kind.type!r}: lower case, digits, underscores"
        assert (kind.__doc__ or "").strip(), f"{kind.__name__} has no docstring: it is the help text of {kind.type!r}"

    def test_options_are_equal_when_read_twice(self, tmp_path: Path) -> None:
        """Reading the same options twice gives equal ones: a reload of an unchanged spec does nothing."""
        assert configure(self.kind(), self.options(tmp_path)) == configure(self.kind(), self.options(tmp_path))

    def test_options_come_back_from_plain_values(self, tmp_path: Path) -> None:
        """Options written out as plain values and read again are the same."""
        config = configure(self.kind(), self.options(tmp_path))
        plain = msgspec.to_builtins(config, enc_hook=_reveal)
        assert config == configure(self.kind(), plain)

    def test_an_unknown_option_is_refused(self, tmp_path: Path) -> None:
        """A misspelt option is an error, and named."""
        with pytest.raises(msgspec.ValidationError, match="no_such_option"):
            configure(self.kind(), {**self.options(tmp_path), "no_such_option": 1})

    def test_what_is_secret_by_name_is_secret_by_type(self) -> None:
        """An option that is called a password or a token is a Secret."""
        hints = get_type_hints(config_type(self.kind()))
        open_ones = [name for name, hint in hints.items() if SECRET_NAMES.search(name) and "Secret" not in str(hint)]
        assert [] == open_ones

    def test_secrets_are_not_printed(self, tmp_path: Path) -> None:
        """Neither the options nor the component show a secret."""
        component = self.make(tmp_path)
        shown = f"{component.config!r} {component.config} {component!r} {component}"
        assert [] == [secret for secret in _secrets(component.config) if secret in shown]

    def test_the_constructor_touches_nothing(self, tmp_path: Path) -> None:
        """A constructor opens no file and no connection: `validate` makes components too."""
        self.make(tmp_path)  # what is imported on first use is imported now
        kind, config = self.kind(), configure(self.kind(), self.options(tmp_path))
        context = make_context(kind.type, self.tables())
        assert [] == outside(lambda: kind(config, context))

    @fact
    async def test_close_without_open(self, tmp_path: Path) -> None:
        """`close` is called also where `open` failed at its first line."""
        await self.make(tmp_path).close()

    @fact
    async def test_close_twice(self, tmp_path: Path) -> None:
        """A second `close` finds nothing to do."""
        async with self.opened(tmp_path) as component:
            await component.close()

    @fact
    async def test_probe_of_a_healthy_far_side(self, tmp_path: Path) -> None:
        """`probe` answers with sentences, and changes nothing that `open` needs."""
        async with self.opened(tmp_path) as component:
            assert all(isinstance(finding, str) for finding in await component.probe())

    @fact
    async def test_open_of_a_broken_far_side(self, tmp_path: Path) -> None:
        """`open` says Unavailable or Drift, without a secret, or leaves it to later; `close` follows."""
        component = self.make(tmp_path)
        await settle(self.break_it(component))
        try:
            await component.open()
        except (Unavailable, Drift) as error:
            assert [] == [secret for secret in _secrets(component.config) if secret in f"{error} {error.hint}"]
        finally:
            await component.close()
            await settle(self.mend_it(component))

    @fact
    async def test_open_again_after_unavailable(self, tmp_path: Path) -> None:
        """The same object opens once the far side is back."""
        component = self.make(tmp_path)
        await settle(self.break_it(component))
        with suppress(Unavailable, Drift):  # a lazy one may say nothing yet
            await component.open()
        await settle(self.mend_it(component))
        await component.open()
        await component.close()


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secrets(item)


def _reveal(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value))
