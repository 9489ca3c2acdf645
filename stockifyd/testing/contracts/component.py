"""What holds of every component, whatever its role: options, help, secrets, `open` and `close`."""
# ruff: noqa: ARG002, PT017, SIM300  # hooks with arguments that defaults ignore; what is expected stands first in an assert

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast, get_type_hints

import msgspec
import pytest

from stockifyd.api import Component, Drift, Secret, StockifydError, Tables, Unavailable, config_type, configure
from stockifyd.testing import faults
from stockifyd.testing.facts import fact, outside, settle
from stockifyd.testing.listening import listening
from stockifyd.testing.making import make_context

K = TypeVar("K", bound=Component[Any])

SECRET_NAMES = re.compile(r"(^|_)(password|passphrase|secret|token|api_key)$")
CUTS = 20
"""Places where work is cancelled, one after another."""


class ComponentContract(Generic[K]):
    """The base of the contracts: its hooks, and facts of options, constructor, `open` and `close`."""

    in_process: ClassVar[bool] = False
    """True: the far side is this process's memory (a fake), so that a crash is an exception instead of SIGKILL."""
    patience_secs: ClassVar[float] = 20.0
    """How long what should end at once may take on a busy machine."""

    def options(self, tmp_path: Path) -> dict[str, Any]:
        """Options that work, as YAML would give them; called more than once, and always with the same answer."""
        raise NotImplementedError

    def break_it(self, component: K) -> Awaitable[None] | None:
        """Make the far side go away or refuse; the component may be open or not. Optional: its facts are skipped."""
        pytest.skip(f"{type(self).__name__} gives no break_it")

    def mend_it(self, component: K) -> Awaitable[None] | None:
        """Undo `break_it`, and `slow_it`."""
        pytest.skip(f"{type(self).__name__} gives no mend_it")

    def slow_it(self, component: K) -> Awaitable[None] | None:
        """Make the far side answer late. Optional: without it the fact of a slow far side has one that is quick."""

    def kind(self) -> type[K]:
        """The component's class."""
        raise NotImplementedError

    def tables(self) -> Tables | None:
        """The tables that reach the component, for its context."""
        return None

    def life(self, tmp_path: Path, *, consumer: str = "contract") -> faults.Life:
        """All that another process needs to make such a component."""
        return faults.Life(self.kind(), self.options(tmp_path), consumer, self.tables())

    def make(self, tmp_path: Path, *, consumer: str = "contract") -> K:
        """A component, not opened."""
        return cast("K", self.life(tmp_path, consumer=consumer).make())

    @asynccontextmanager
    async def opened(self, tmp_path: Path, *, consumer: str = "contract") -> AsyncIterator[K]:
        """A component that is open inside the `async with`."""
        component = self.make(tmp_path, consumer=consumer)
        try:
            await component.open()
            yield component
        finally:
            await component.close()

    async def use(self, component: K) -> None:
        """What an open component is for, once; for the fact of secrets."""

    def test_type_and_help(self) -> None:
        """A component has a word that users write, and a docstring that tells them what it does."""
        kind = self.kind()
        assert re.fullmatch("[a-z][a-z0-9_]*", kind.type), f"type is {kind.type!r}: lower case, digits, underscores"
        assert (kind.__doc__ or "").strip(), f"{kind.__name__} has no docstring: it is the help text of {kind.type!r}"

    def test_every_option_is_described(self) -> None:
        """An option says what it means where it is declared: help, schema and samples come from there."""
        schemas = msgspec.json.schema_components([config_type(self.kind())], schema_hook=lambda _: {"type": "string"})[1]
        silent = [
            f"{name}.{option}: write it as Annotated[..., Meta(description=...)]"
            for name, schema in schemas.items()
            for option, about in schema.get("properties", {}).items()
            if "description" not in about
        ]
        assert [] == silent

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

    @fact
    async def test_secrets_are_not_told(self, tmp_path: Path) -> None:
        """No log line of any level and no error holds a secret, whether the far side is well, breaks, or was broken before."""
        secrets = set(_secrets(self.make(tmp_path).config))
        if not secrets:
            pytest.skip(f"the options of {type(self).__name__} hold no Secret")
        with listening() as said:
            for broken in ("never", "before", "while open") if self.can_break else ("never",):
                said.extend(await self._live(tmp_path, broken))
        assert [] == [line for line in said if any(secret in line for secret in secrets)]

    @property
    def can_break(self) -> bool:
        """Whether the author gives `break_it`."""
        return type(self).break_it is not ComponentContract.break_it

    async def _live(self, tmp_path: Path, broken: str) -> list[str]:
        """A component's whole life; answers with the error that ended it."""
        component = self.make(tmp_path)
        try:
            await settle(self.break_it(component) if broken == "before" else None)
            await component.open()
            await settle(self.break_it(component) if broken == "while open" else None)
            await self.use(component)
        except StockifydError as error:
            return [f"{error} {error.hint} {error.args}"]
        finally:
            await component.close()
            await settle(self.mend_it(component) if broken != "never" else None)
        return []

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
    async def test_cancelled_while_opening(self, tmp_path: Path) -> None:
        """Stopped at any moment of its start, `open` ends, `close` follows, and the next one opens."""
        for point in faults.points(CUTS):
            component = self.make(tmp_path)
            async with asyncio.timeout(self.patience_secs):
                was_cut = await faults.cancelled_at(point, component.open())
                await component.close()
            if not was_cut:
                break
        async with self.opened(tmp_path):
            pass

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
