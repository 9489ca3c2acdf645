"""Sinks that write files, so that a process which is killed leaves something to look at."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Annotated

from msgspec import Meta

from stockifyd.api import Batch, Config, Fenced, LedgerSink, Partition, Row, Sink


class FolderOptions(Config, frozen=True):
    folder: Annotated[str, Meta(description="Where the files are.")]


class Appends(Sink[FolderOptions]):
    """Sound: one append for each batch."""

    type = "appends"

    async def write(self, batch: Batch) -> None:
        with self.path.open("a") as file:
            file.write(self.lines(batch))

    @property
    def path(self) -> Path:
        return Path(self.config.folder) / "rows"

    def lines(self, batch: Batch) -> str:
        return "".join(f"{json.dumps(row)}\n" for row in batch.tables["options"].rows)

    def rows(self) -> list[Row]:
        return [tuple(json.loads(line)) for line in self.path.read_text().splitlines()] if self.path.exists() else []


class KeepsInABuffer(Appends):
    """Writes into the buffer of a file that stays open."""

    type = "keeps_in_a_buffer"
    file: IO[str] | None = None

    async def open(self) -> None:
        self.file = self.path.open("a")

    async def write(self, batch: Batch) -> None:
        assert self.file is not None
        self.file.write(self.lines(batch))

    async def close(self) -> None:
        if self.file:
            self.file.close()
            self.file = None


class MarksFirst(Appends):
    """Marks a batch as written, and then writes it."""

    type = "marks_first"

    async def write(self, batch: Batch) -> None:
        mark = self.path.with_name(f"done-{batch.messages[0].position.offset}")
        if not mark.exists():
            mark.touch()
            await super().write(batch)


class TwoSteps(LedgerSink[FolderOptions]):
    """A ledger whose offsets are in a file of their own, put in place after the rows'."""

    type = "two_steps"

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {p: int(self.at(p).read_text()) for p in partitions if self.at(p).exists()}

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        for partition, start in starts.items():
            if not self.at(partition).exists():
                self.at(partition).write_text(str(start))
        return await self.stored(list(starts))

    async def write(self, batch: Batch) -> None:
        for partition, span in batch.advance.items():
            if int(self.at(partition).read_text()) != span.base:
                raise Fenced("not at base")
        self.append("rows", [json.dumps(row) for row in batch.tables["options"].rows])
        self.append("letters", [json.dumps((d.message.position.offset, d.reason)) for d in batch.rejected])
        for partition, span in batch.advance.items():
            self.at(partition).write_text(str(span.next))

    def at(self, partition: Partition) -> Path:
        return Path(self.config.folder) / f"at-{partition.topic}-{partition.number}"

    def append(self, name: str, lines: list[str]) -> None:
        with (Path(self.config.folder) / name).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def lines(self, name: str) -> list[Row]:
        path = Path(self.config.folder) / name
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


class DiesAlone(Appends):
    """Ends its own process."""

    type = "dies_alone"

    async def write(self, batch: Batch) -> None:
        os.abort()


class Raises(Appends):
    """Has a bug."""

    type = "raises"

    async def write(self, batch: Batch) -> None:
        raise RuntimeError("a bug of a test")
