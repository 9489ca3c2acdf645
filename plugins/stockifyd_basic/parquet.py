"""Parquet files: each is written whole under a hidden name, and appears when it is on the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stockifyd.api import Drift, Reject, Table
from stockifyd_basic.appending import free_name, saying, sync_folder


@dataclass
class ParquetFiles:
    """Files beside a path, by the time they were written: quotes.20261124T034500.123456Z.parquet."""

    path: Path
    _types: dict[str, Any] = field(default_factory=dict, init=False)
    """What columns held before: one that holds nothing in a batch keeps its type."""

    def write(self, name: str, table: Table) -> Path:
        """One file of a table's rows. Reject where a column holds what has no type in common."""
        try:
            import pyarrow as pa  # noqa: PLC0415  an extra, imported by who uses it
            import pyarrow.parquet as pq  # noqa: PLC0415
        except ImportError as error:
            raise Drift("pyarrow is not installed", hint="pip install 'stockifyd[arrow]'") from error
        frame = pa.table({column: self._array(pa, name, table, column=column) for column in table.columns})
        with saying(self.path):
            part, place, final = self._part()
            try:
                with os.fdopen(place, "wb") as file:
                    pq.write_table(frame, file)
                    file.flush()
                    os.fsync(file.fileno())
                part.rename(final)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            sync_folder(self.path.parent)
            return final

    def _part(self) -> tuple[Path, int, Path]:
        """A hidden file, its descriptor, and the name that it will have: nobody else has either."""
        while True:
            final = free_name(self.path)
            part = final.with_name(f".{final.name}.part")
            try:
                place = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                continue
            if not final.exists():  # another one may have had this name and finished, since we chose it
                return part, place, final
            os.close(place)
            part.unlink()

    def _array(self, pa: Any, name: str, table: Table, *, column: str) -> Any:
        values = table.column(column)
        try:
            found = pa.array(values)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise Reject(f"column {column!r} cannot be a column of Parquet", table=name) from error
        if not pa.types.is_null(found.type):
            self._types[column] = found.type
        elif column in self._types:
            found = pa.nulls(len(values), self._types[column])
        return found
