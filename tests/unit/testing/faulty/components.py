"""Sinks whose options, constructor, `open` or `close` have one fault each."""
# the docstring of one of them is its fault

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stockifyd.api import Batch, Context, Receipt, Secret, Sink, Unavailable
from stockifyd.testing import MemorySink
from stockifyd.testing.fakes import MemorySinkOptions
from unit.testing.catching import Faults


class Nameless(MemorySink):
    __doc__ = None


class BadWord(MemorySink):
    """Has a type that nobody can write."""

    type = "Not A Word"


class SilentOptions(MemorySinkOptions, frozen=True):
    path: str = ""


class Silent(MemorySink, Sink[SilentOptions]):  # type: ignore[misc]
    """Does not say what its option means."""


class OtherEachTimeOptions(MemorySinkOptions, frozen=True):
    mark: Annotated[str, Meta(description="Another each time.")] = msgspec.field(default_factory=lambda: uuid.uuid4().hex)


class OtherEachTime(MemorySink, Sink[OtherEachTimeOptions]):  # type: ignore[misc]
    """Has options that are never equal."""


class GrowsOptions(MemorySinkOptions, frozen=True):
    size: Annotated[int, Meta(description="Doubles whenever it is read.")] = 1

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "size", self.size * 2)


class Grows(MemorySink, Sink[GrowsOptions]):  # type: ignore[misc]
    """Has options that change when they are written and read."""


class ToleratesOptions(MemorySinkOptions, frozen=True, forbid_unknown_fields=False):
    pass


class Tolerates(MemorySink, Sink[ToleratesOptions]):  # type: ignore[misc]
    """Takes any option."""


class OpenPasswordOptions(MemorySinkOptions, frozen=True):
    password: Annotated[str, Meta(description="In the open.")] = ""


class OpenPassword(MemorySink, Sink[OpenPasswordOptions]):  # type: ignore[misc]
    """Has a password that is no Secret."""


class SecretOptions(MemorySinkOptions, frozen=True):
    token: Annotated[Secret, Meta(description="Nobody may see it.")] = Secret("the-token-of-a-test")


class Shows(MemorySink, Sink[SecretOptions]):  # type: ignore[misc]
    """Shows its secret in its repr."""

    def __repr__(self) -> str:
        return f"Shows({self.config.token.reveal()})"  # type: ignore[attr-defined]


class Logs(MemorySink, Sink[SecretOptions]):  # type: ignore[misc]
    """Logs its secret, at debug."""

    async def open(self) -> None:
        await super().open()
        self.context.log.debug("connected with %s", self.config.token.reveal())  # type: ignore[attr-defined]


class Complains(MemorySink, Sink[SecretOptions]):  # type: ignore[misc]
    """Tells its secret when something breaks while it is open."""

    async def write(self, batch: Batch) -> Receipt:
        try:
            return await super().write(batch)
        except Unavailable as error:
            raise Unavailable(f"no answer to {self.config.token.reveal()}") from error  # type: ignore[attr-defined]


class OpensEarly(MemorySink):
    """Reads a file in its constructor."""

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        Path(__file__).read_text()


class ClosesBadly(MemorySink):
    """Cannot be closed unless it was opened, and only once."""

    async def open(self) -> None:
        await super().open()
        self.was_open = True

    async def close(self) -> None:
        del self.was_open


class HalfOpen(MemorySink):
    """Cannot be closed where `open` was interrupted."""

    is_half_open = False

    async def open(self) -> None:
        self.is_half_open = True
        await asyncio.sleep(0)
        self.is_half_open = False

    async def close(self) -> None:
        assert not self.is_half_open


class ProbesInNumbers(MemorySink):
    """Answers `doctor` with a number."""

    async def probe(self) -> Sequence[str]:
        return [404]  # type: ignore[list-item]


class RaisesAnything(MemorySink):
    """Lets errors of its driver out."""

    async def open(self) -> None:
        if self.store.unreachable:
            raise OSError("no such host")

    async def write(self, batch: Batch) -> Receipt:
        try:
            return await super().write(batch)
        except Unavailable as error:
            raise OSError("reset by peer") from error


class GivesUp(MemorySink):
    """Never opens again once it could not."""

    gave_up = False

    async def open(self) -> None:
        if self.gave_up:
            raise Unavailable("gave up")
        self.gave_up = True
        await super().open()
        self.gave_up = False


FAULTS: Faults = [
    (Nameless, "type_and_help"),
    (BadWord, "type_and_help"),
    (Silent, "every_option_is_described"),
    (OtherEachTime, "options_are_equal_when_read_twice"),
    (Grows, "options_come_back_from_plain_values"),
    (Tolerates, "an_unknown_option_is_refused"),
    (OpenPassword, "what_is_secret_by_name_is_secret_by_type"),
    (Shows, "secrets_are_not_printed"),
    (Logs, "secrets_are_not_told"),
    (Complains, "secrets_are_not_told"),
    (OpensEarly, "the_constructor_touches_nothing"),
    (ClosesBadly, "close_without_open close_twice open_of_a_broken_far_side"),
    (HalfOpen, "cancelled_while_opening"),
    (ProbesInNumbers, "probe_of_a_healthy_far_side"),
    (RaisesAnything, "open_of_a_broken_far_side a_far_side_that_breaks_while_open cancelled_while_the_far_side_is_away"),
    (GivesUp, "open_again_after_unavailable"),
]
