"""Reads the lines of a file."""

from collections.abc import AsyncIterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import Claims, Component, Config, Message, Partition, Position, Source, Unavailable, hookimpl

requires_api = 1


class AcmeOptions(Config, frozen=True):
    path: Annotated[str, Meta(description="The file; what is behind its last end of line is no message yet.")]
    read_max_messages: Annotated[int, Meta(ge=1, description="Messages that are read at a time.")] = 1000


class Acme(Source[AcmeOptions]):
    """Reads the lines of a file, one message each, and ends: the offset is the line's number."""

    type = "acme"

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        partition = Partition(self.config.path)
        start = (await claims.take({partition: 0}))[partition]
        try:
            with Path(self.config.path).open("rb") as file:
                whole = ((at, line[:-1]) for at, line in enumerate(file) if line.endswith(b"\n"))
                wanted = islice(whole, start, None)
                while part := list(islice(wanted, self.config.read_max_messages)):
                    yield [Message(Position(partition, at), line) for at, line in part]
        except OSError as error:
            raise Unavailable(f"{self.config.path}: {error.strerror}", hint="is there such a file, and may we read?") from error


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Acme]
