"""A bounded source, the contract, and commands of a plugin."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, assert_type

import click

from stockifyd.api import Claims, Config, LoadSpec, Message, Partition, Position, Source, hookimpl
from stockifyd.testing import SourceContract


class LinesOptions(Config, frozen=True):
    path: str


class Lines(Source[LinesOptions]):
    """Reads a file, one message a line."""

    type = "lines"

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        partition = Partition(self.config.path)
        start = (await claims.take({partition: 0}))[partition]
        assert_type(start, int)
        for at, line in enumerate(Path(self.config.path).read_bytes().splitlines()):
            if at >= start:
                yield [Message(Position(partition, at), line)]


class TestLines(SourceContract[Lines]):
    source = Lines

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"path": str(tmp_path / "lines")}

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        (tmp_path / "lines").write_bytes(b"".join(body + b"\n" for body in bodies))


@hookimpl
def stockifyd_commands(load: LoadSpec) -> list[click.Command]:
    @click.command()
    @click.argument("spec")
    def count(spec: str) -> None:
        """Count the sinks of a spec."""
        click.echo(len(load(spec).sinks))

    return [count]
