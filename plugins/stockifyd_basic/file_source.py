"""The source `file`: the lines of files, one after another, until all are read."""

from __future__ import annotations

import asyncio
import glob
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from stockifyd.api import Claims, Config, Context, Drift, Message, Partition, Position, Source
from stockifyd_basic.arriving import Word
from stockifyd_basic.records import Csv, Lines, Record, plain

PAUSE_SECS = 0.5
PART_BYTES = 2**20


class FileSourceOptions(Config, frozen=True):
    """Which files, and what a record is."""

    path: Annotated[
        Word,
        Meta(
            description="A file, or a pattern: `*`, `?` and `[...]` in a name, `**` for any folders. Packed ones are unpacked by"
            " their ending: .gz, .bz2, .xz, and .zst from Python 3.14 on.",
            examples=["/var/spool/quotes/*.jsonl"],
        ),
    ]
    format: Annotated[
        Literal["lines", "csv"],
        Meta(description="`lines`: each line is a message, of JSON or any text; `csv`: each record becomes a JSON object."),
    ] = "lines"
    columns: Annotated[
        tuple[Word, ...] | None, Meta(description="Of CSV: the columns; default: the first line of each file names them.")
    ] = None
    numbers: Annotated[
        tuple[Word, ...], Meta(description="Of CSV: columns whose fields are numbers; others are text, and what is empty null.")
    ] = ()
    delimiter: Annotated[str, Meta(min_length=1, max_length=1, description="Of CSV: what stands between fields.")] = ","
    read_max_messages: Annotated[int, Meta(ge=1, description="Messages that are read at a time.")] = 1_000
    line_max_bytes: Annotated[int, Meta(ge=1, description="A line, or a record of CSV, that is longer halts.")] = 16 * 2**20

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if self.format == "lines":
            for name in ("columns", "numbers"):
                if getattr(self, name):
                    raise ValueError(f"{name}: only with `format: csv`")
        if self.delimiter in '"\r\n':
            raise ValueError(f"delimiter: {self.delimiter!r} cannot stand between fields")
        if self.columns and len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: one stands there twice")


class FileSource(Source[FileSourceOptions]):
    """Reads files line by line, in the order of their names, and ends when all are read.

    Each file is a partition, and the line's number, from 0, its offset: a ledger knows how far each was read, and a second run
    goes on behind it. Without a ledger each run begins at the first line. Several instances share the files.
    """

    type = "file"

    def __init__(self, config: FileSourceOptions, context: Context) -> None:
        super().__init__(config, context)
        self._paused = False
        self._resumed = asyncio.Event()

    async def open(self) -> None:
        """Look for the files. Drift where there is none of this name."""
        if not await asyncio.to_thread(self._paths):
            self.context.log.warning("no file of this instance matches %s: there is nothing to read", self.config.path)

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        """Messages of one file after another. Drift for a file that is missing, damaged or not the one that was stored."""
        found = await asyncio.to_thread(self._paths)
        partitions = {Partition(str(path)): path for path in found}
        starts = await claims.take(dict.fromkeys(partitions, 0)) if partitions else {}
        for partition, path in partitions.items():
            async for messages in self._read_one(path, partition, claims, start=starts[partition]):
                yield messages

    def pause(self) -> None:
        """Read nothing."""
        self._paused = True

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._resumed.set()

    async def _read_one(
        self, path: Path, partition: Partition, claims: Claims, *, start: int
    ) -> AsyncIterator[Sequence[Message]]:
        lines = Lines(path, self.config.line_max_bytes)
        records = self._records(lines)
        before: Message | None = None
        while part := await self._part(records):
            while self._paused:
                yield []
                await self._until_resumed()
            messages = [Message(Position(partition, number), raw) for number, raw in part]
            fresh = [message for message in messages if message.position.offset >= start]
            before = next((m for m in reversed(messages) if m.position.offset < start), before)
            if fresh and before is not None:
                await claims.recognise([before])
                before, start = None, 0
            yield fresh
        if lines.number < start:
            raise Drift(
                f"{path} has {lines.number} lines, and {start} of it were read before: it was cut or replaced",
                hint="a file that was read must stay as it is, but for lines at its end; give another one another name",
            )
        if before is not None:
            await claims.recognise([before])

    async def _part(self, records: Iterator[Record]) -> list[Record]:
        return await asyncio.to_thread(lambda: list(_bounded(islice(records, self.config.read_max_messages))))

    def _records(self, lines: Lines) -> Iterator[Record]:
        if self.config.format == "lines":
            return plain(lines)
        return Csv(self.config.delimiter, self.config.columns, frozenset(self.config.numbers))(lines)

    async def _until_resumed(self) -> None:
        self._resumed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_SECS):
                await self._resumed.wait()

    def _paths(self) -> list[Path]:
        """Those of this instance, by name."""
        pattern = self.config.path
        if Path(pattern).exists():
            names = [pattern]
        elif glob.has_magic(pattern):
            names = glob.glob(pattern, recursive=True)  # noqa: PTH207  a pattern may begin at the root
        else:
            raise Drift(f"there is no file {pattern}", hint="check `path`; a pattern may match none")
        paths = sorted(path.absolute() for path in map(Path, names) if not path.is_dir())
        total, ours = self.context.total_instances, self.context.instance_id - 1
        return [path for path in paths if zlib.crc32(str(path).encode()) % total == ours]


def _bounded(records: Iterator[Record]) -> Iterator[Record]:
    size = 0
    for record in records:
        yield record
        size += len(record[1])
        if size >= PART_BYTES:
            return
