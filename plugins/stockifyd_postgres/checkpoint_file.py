"""A source's checkpoint in a file, for pipelines whose sinks keep no ledger."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stockifyd.api import Drift, Unavailable


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds: of which question the offsets are, and the next one of each day."""

    question: str
    next: dict[int, int]


@dataclass
class CheckpointFile:
    """The next offset of each partition number. Everything here may wait for the disk."""

    path: Path
    question: str
    """A file of another question is refused: its offsets are of other messages."""

    def read(self) -> dict[int, int]:
        """What was written last; nothing where there is no file. Drift for one that is not ours."""
        try:
            found = msgspec.json.decode(self.path.read_bytes(), type=Content)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._meaning(error) from error
        except msgspec.DecodeError as error:
            raise Drift(f"{self.path} is no checkpoint: {error}", hint="name another file in `checkpoint`") from error
        if found.question != self.question:
            raise Drift(
                f"{self.path} is the checkpoint of other options (from, table, columns, where_in, key or message...)",
                hint="name another file in `checkpoint`, or delete this one to begin at `from`",
            )
        return found.next

    def write(self, offsets: Mapping[int, int]) -> None:
        """Add these to what is there; on the disk when this returns, and whole whatever happens."""
        content = Content(self.question, {**self.read(), **offsets})
        part = self.path.with_name(f".{self.path.name}.part")
        try:
            with part.open("wb") as file:
                file.write(msgspec.json.encode(content))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._meaning(error) from error

    def _meaning(self, error: OSError) -> Unavailable:
        return Unavailable(f"{self.path}: {error.strerror or error}", hint="is its folder there, and may we write in it?")
