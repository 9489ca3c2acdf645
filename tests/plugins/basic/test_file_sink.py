"""What the sink `file` leaves on the disk, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import csv
import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pyarrow.parquet as pq
import pytest

from kit.eventually import eventually
from stockifyd.api import Batch, Drift, Reject, Retry, Row, Table, Unavailable, configure
from stockifyd.testing import SinkContract, make, make_batch, run
from stockifyd_basic import FileSink, appending, file_sink


class FileContract(SinkContract[FileSink]):
    """What all formats have in common: the far side breaks when its folder goes away."""

    sink = FileSink
    more: ClassVar[dict[str, Any]]

    def options(self, tmp_path: Path) -> dict[str, Any]:
        folder = tmp_path / "folder"
        if not (tmp_path / "away").exists():
            folder.mkdir(exist_ok=True)
        return {"path": str(folder / "out.txt"), "table": "options", **self.more}

    def bad_row(self) -> Row | None:
        return 1, "\ud800"

    def break_it(self, component: FileSink) -> None:
        folder = Path(component.config.path).parent
        folder.rename(folder.parent / "away")

    def mend_it(self, component: FileSink) -> None:
        folder = Path(component.config.path).parent
        (folder.parent / "away").rename(folder)

    def files(self, sink: FileSink) -> list[Path]:
        """Those that are finished, then the one that is not."""
        path = Path(sink.config.path)
        return [*sorted(path.parent.glob("out.*Z.txt")), *([path] if path.exists() else [])]


class TestJson(FileContract):
    """As JSON lines it keeps the contract of sinks."""

    more: ClassVar[dict[str, Any]] = {"rotate_secs": 3600}

    def stored(self, sink: FileSink) -> list[Row]:
        return [tuple(json.loads(line).values()) for path in self.files(sink) for line in path.read_bytes().splitlines()]


class TestCsv(FileContract):
    """As CSV it keeps the contract, in files of a few bytes each."""

    more: ClassVar[dict[str, Any]] = {"format": "csv", "rotate_bytes": 40}

    def stored(self, sink: FileSink) -> list[Row]:
        rows = list[Row]()
        for path in self.files(sink):
            with path.open(newline="") as file:
                head, *found = csv.reader(file)
                assert ["number", "text"] == head
                rows += [(int(number) if number else "", text) for number, text in found]
        return rows

    def kept(self, row: Row) -> Row:
        return tuple("" if value is None else value for value in row)


class TestParquet(FileContract):
    """As Parquet it keeps the contract."""

    more: ClassVar[dict[str, Any]] = {"format": "parquet"}
    kills = 16  # each process imports pyarrow, which takes its time

    def stored(self, sink: FileSink) -> list[Row]:
        return [tuple(row.values()) for path in self.files(sink) for row in pq.read_table(path).to_pylist()]


def sink(path: Path, **options: Any) -> FileSink:
    return make(FileSink, path=str(path), **{"table": "options", **options})


def written(path: Path, first: int = 0, count: int = 1, **options: Any) -> None:
    run(make_batch(count, first=first), sink(path, **options))


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_torn_line_of_json_is_cut_off(tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever a crash tore the last line: what follows begins on a line of its own, and nothing before it is touched."""
    path = tmp_path / "out.jsonl"
    written(path, count=2)
    path.write_bytes(path.read_bytes()[:-cut])
    written(path, first=2)
    assert [0, 2] == [json.loads(line)["number"] for line in path.read_text().splitlines()]
    assert "of a line that was never finished" in caplog.text


def test_a_torn_record_of_csv_is_cut_off(tmp_path: Path) -> None:
    """Wherever it was torn: also where a text holds quotes and line ends, which end no record."""
    texts = ['a "quoted"\nline', "\n\n", '"', ","]
    table = Table(("number", "text"), [(number, text) for number, text in enumerate(texts)], [4])
    batch = make_batch(1).with_table("options", table)
    whole, path = tmp_path / "whole.csv", tmp_path / "out.csv"
    run(batch, sink(whole, format="csv"))
    data = whole.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        run(batch, sink(path, format="csv"))
        with path.open(newline="") as file:
            head, *rows = csv.reader(file)
        assert ["number", "text"] == head
        kept = len(rows) - len(texts)
        assert [[str(n), text] for n, text in [*enumerate(texts[:kept]), *enumerate(texts)]] == rows
        assert kept <= data[:length].count(b"\r\n")


def test_a_long_torn_line_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than what is looked at in one go; and one that is all there is."""
    monkeypatch.setattr(appending, "BLOCK", 16)
    path = tmp_path / "out.jsonl"
    for before in (b'{"number":0}\n', b""):
        path.write_bytes(before + b'{"number":1,"text":"' + b"x" * 100)
        written(path, first=2)
        assert before + b'{"number":2,"text":"row 2"}\n' == path.read_bytes()
        path.write_bytes(before + b'{"number":1,"text":"' + b"x" * 100)
    written(path, first=3, format="csv")
    assert b"number,text\r\n3,row 3\r\n" == path.read_bytes()


async def test_what_failed_halfway_is_not_there_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle of a batch: Unavailable, and when there is room the batch is there once."""
    path, pwrite = tmp_path / "out.jsonl", os.pwrite

    def full(file: int, data: memoryview, at: int) -> int:
        if at > 40:
            raise OSError(28, "No space left on device")
        return pwrite(file, data[:30], at)

    one = sink(path)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        await one.write(make_batch(3))
    monkeypatch.setattr(os, "pwrite", pwrite)
    await one.write(make_batch(3))
    assert 3 == len(path.read_text().splitlines())


async def test_what_is_answered_for_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before `write` returns, and its folder when it is new."""
    synced = list[str]()
    fsync = os.fsync

    def noting(file: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", noting)
    path = tmp_path / "out.jsonl"
    one = sink(path)
    await one.write(make_batch(1))
    await one.write(make_batch(1))
    assert [str(path), str(tmp_path), str(path)] == synced


def test_rotation_by_size(tmp_path: Path) -> None:
    """A file is finished before it grows beyond the limit: renamed, and whole; the head is in each."""
    path = tmp_path / "out.csv"
    for first in range(5):
        written(path, first=first, format="csv", rotate_bytes=13 + 2 * 9)
    finished = sorted(tmp_path.glob("out.*Z.csv"))
    texts = [one.read_text().split() for one in [*finished, path]]
    assert (["number,text", "0,row", "0", "1,row", "1"], ["number,text", "4,row", "4"]) == (texts[0], texts[-1])
    assert 3 == len(texts)


async def test_rotation_by_time(tmp_path: Path) -> None:
    """At the end of each span of the clock, also when nothing more comes; a file without rows is none."""
    path = tmp_path / "out.jsonl"
    one = sink(path, rotate_secs=1)
    await one.open()
    await one.write(make_batch(1))
    await eventually(lambda: not path.exists())
    [finished] = tmp_path.iterdir()
    assert finished.name.startswith("out.2") and finished.name.endswith("Z.jsonl")
    await one.close()


def test_a_file_of_an_earlier_span_is_finished_first(tmp_path: Path) -> None:
    """A start after a night: yesterday's rows do not get into today's file."""
    path = tmp_path / "out.jsonl"
    written(path, rotate_secs=3600)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    written(path, first=1, rotate_secs=3600)
    [finished] = tmp_path.glob("out.*Z.jsonl")
    assert [0, 1] == [json.loads(one.read_text())["number"] for one in (finished, path)]


def test_other_columns(tmp_path: Path) -> None:
    """CSV of other columns is not mixed in: it halts; where files are finished anyway, another one begins."""
    path = tmp_path / "out.csv"
    path.write_bytes(b"other\r\n1\r\n")
    with pytest.raises(Drift, match="begins with other columns"):
        written(path, format="csv")
    written(path, format="csv", rotate_bytes=1000)
    assert 2 == len(list(tmp_path.iterdir()))
    assert b"number,text\r\n0,row 0\r\n" == path.read_bytes()


async def test_two_write_in_turn(tmp_path: Path) -> None:
    """Lanes and processes may append to one file: no line is lost or torn, and each file has one head."""
    path = tmp_path / "out.csv"
    sinks = [sink(path, format="csv", rotate_bytes=2000) for _ in range(3)]
    for number in range(20):
        await asyncio.gather(*(one.write(make_batch(5, first=100 * number + 5 * n)) for n, one in enumerate(sinks)))
    rows = list[list[str]]()
    for one in [path, *tmp_path.glob("out.*Z.csv")]:
        with one.open(newline="") as file:
            head, *found = csv.reader(file)
        assert ["number", "text"] == head
        rows += found
    assert sorted(100 * n + m for n in range(20) for m in range(15)) == sorted(int(number) for number, _ in rows)


async def test_a_file_that_another_process_keeps_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, and the reason names the file."""
    monkeypatch.setattr(appending, "LOCK_SECS", 0.01)
    path = tmp_path / "out.jsonl"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Retry, match=r"out\.jsonl is locked by another process"):
            await sink(path).write(make_batch(1))
    await sink(path).write(make_batch(1))


async def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """It is not made, and it may come back: a disk that is not mounted yet."""
    with pytest.raises(Unavailable, match="No such file or directory") as found:
        await sink(tmp_path / "no" / "out").open()
    assert "None is made" in found.value.hint


async def test_what_an_operator_must_mend(tmp_path: Path) -> None:
    """A folder in the file's place halts, at the start already."""
    with pytest.raises(Drift, match="is no file"):
        await sink(tmp_path).open()
    with pytest.raises(Drift, match="Is a directory"):
        await sink(tmp_path).write(make_batch(1))


async def test_a_right_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is seen before the first batch."""
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(Drift, match="Permission denied"):
        await sink(tmp_path / "out").open()


def test_messages(tmp_path: Path) -> None:
    """Without a table, each message's value is a line."""
    path = tmp_path / "out.jsonl"
    run(make_batch(2).map(lambda m: {"n": m.position.offset}), make(FileSink, path=str(path)))
    assert '{"n":0}\n{"n":1}\n' == path.read_text()


async def test_parquet_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that fails leaves nothing behind, and no file is seen before it is finished."""
    one = sink(tmp_path / "out.parquet", format="parquet")
    seen = list[list[str]]()
    write_table = pq.write_table

    def failing(frame: Any, file: Any) -> None:
        write_table(frame, file)
        seen.append([path.name[:4] for path in tmp_path.iterdir()])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", failing)
    with pytest.raises(Unavailable, match="No space left"):
        await one.write(make_batch(1))
    assert ([[".out"]], []) == (seen, list(tmp_path.iterdir()))


async def test_parquet_keeps_types(tmp_path: Path) -> None:
    """A column that holds nothing in a batch has the type that it had before."""
    one = sink(tmp_path / "out.parquet", format="parquet")
    for iv in (1.5, None):
        await one.write(make_batch(1).with_table("options", Table(("iv",), [(iv,)], [1])))
    assert ["double", "double"] == [str(pq.read_schema(path).field("iv").type) for path in sorted(tmp_path.iterdir())]


async def test_parquet_of_a_column_without_a_type(tmp_path: Path) -> None:
    """A text among numbers: rejected, with the column's name, not its values."""
    batch = make_batch(2).with_table("options", Table(("iv",), [(1.5,), ("secret",)], [1, 2]))
    with pytest.raises(Reject, match="column 'iv' cannot be a column of Parquet"):
        await sink(tmp_path / "out.parquet", format="parquet").write(batch)


def test_pyarrow_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `validate`, and by a process that lost it."""
    one = sink(tmp_path / "out", format="parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Drift, match="pyarrow is not installed") as found:
        run(make_batch(1), one)
    assert "stockifyd[arrow]" in found.value.hint
    monkeypatch.setattr(file_sink.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(msgspec.ValidationError, match=r"pip install 'stockifyd\[arrow\]'"):
        configure(FileSink, {"path": "x", "table": "t", "format": "parquet"})


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ({"format": "csv"}, "format: 'csv' needs `table`"),
        ({"format": "parquet", "table": "t", "rotate_bytes": 5}, "each batch is a file of its own"),
        ({"rotate_secs": 0.5}, "Expected `float` >= 1"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], fact: str) -> None:
    """They are refused when the spec is read."""
    with pytest.raises(msgspec.ValidationError, match=fact):
        configure(FileSink, {"path": "x", **options})


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    """A batch of which no row was made leaves nothing."""
    batch: Batch = make_batch(2, 0)
    for form in ("json", "csv", "parquet"):
        run(batch, sink(tmp_path / "out", format=form))
    assert [] == list(tmp_path.iterdir())
