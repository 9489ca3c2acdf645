"""What `stdout` prints, and to whom."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Drift, Row
from stockifyd.testing import SinkContract, make, make_batch
from stockifyd_basic import Stdout


class TestContract(SinkContract[Stdout]):
    """It keeps the contract of sinks, by what a file has that stands in for the terminal."""

    @pytest.fixture(autouse=True)
    def a_file(self, tmp_path: Path) -> Iterator[None]:
        self.path = tmp_path / "stdout"
        descriptor = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.sink = type("Stdout", (Stdout,), {"__doc__": Stdout.__doc__, "descriptor": descriptor})
        yield
        os.close(descriptor)

    sink = Stdout

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"table": "options"}

    def stored(self, sink: Stdout) -> list[Row]:
        return [tuple(json.loads(line).values()) for line in self.path.read_bytes().splitlines()]

    def bad_row(self) -> Row:
        return 1, "\ud800"


@pytest.fixture
def pipe() -> Iterator[tuple[type[Stdout], int]]:
    """A sink that prints into a pipe, and the pipe's other end."""
    out, into = os.pipe()
    yield type("Stdout", (Stdout,), {"descriptor": into}), out
    os.close(into)


async def test_a_slow_reader_is_waited_for(pipe: tuple[type[Stdout], int]) -> None:
    """While nobody reads, the event loop goes on; then all of it comes, in whole lines, also of two sinks at once."""
    kind, out = pipe
    batches = [make_batch(1).map(lambda _, n=n: {"n": n, "text": "x" * 300_000}) for n in range(2)]
    writing = [asyncio.create_task(make(kind).write(batch)) for batch in batches]
    await asyncio.sleep(0)
    assert not any(task.done() for task in writing)

    def read() -> bytes:
        found = b""
        while found.count(b"\n") < 2:
            found += os.read(out, 65_536)
        return found

    lines = (await asyncio.to_thread(read)).splitlines()
    assert [1, 1] == [(await task).rows for task in writing]
    assert [0, 1] == sorted(json.loads(line)["n"] for line in lines)
    os.close(out)


async def test_a_reader_that_is_gone(pipe: tuple[type[Stdout], int]) -> None:
    """Nobody will read it: an operator must say what shall become of the rest."""
    kind, out = pipe
    os.close(out)
    with pytest.raises(Drift, match="standard output: Broken pipe"):
        await make(kind).write(make_batch(1))


async def test_messages(pipe: tuple[type[Stdout], int]) -> None:
    """Without a table, the value of each message is a line."""
    kind, out = pipe
    receipt = await make(kind).write(make_batch(2).map(lambda m: m.position.offset))
    assert (b"0\n1\n", 2) == (os.read(out, 100), receipt.rows)
    os.close(out)


async def test_an_unknown_table() -> None:
    """It halts; `validate` finds it before."""
    with pytest.raises(Drift, match="no table 'x' arrives here"):
        await make(Stdout, table="x").write(make_batch(1))
    assert {"x": ()} == make(Stdout, table="x").wants()
    assert {} == make(Stdout).wants()
