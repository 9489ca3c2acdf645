"""What the source `file` reads, where it goes on, and what it says of files that are not as they were."""

from __future__ import annotations

import bz2
import gzip
import importlib
import json
import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stockifyd.api import Drift, Message, Partition, Unavailable, configure
from stockifyd.testing import MemoryClaims, SourceContract, make, make_context
from stockifyd_basic import FileSource, records


class TestLines(SourceContract[FileSource]):
    """Of lines, over several files: it keeps the contract of sources."""

    source = FileSource

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"path": str(tmp_path / "*.txt"), "read_max_messages": 2}

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        for number in range(2):
            (tmp_path / f"{number}.txt").write_bytes(b"\r\n".join(bodies[number::2]) + b"\n" * number)

    def extremes(self) -> Sequence[bytes]:
        return [body for body in super().extremes() if body]  # empty lines are left out

    def break_it(self, component: FileSource) -> None:
        folder = Path(component.config.path).parent
        folder.rename(folder.with_name(folder.name + ".away"))

    def mend_it(self, component: FileSource) -> None:
        folder = Path(component.config.path).parent
        folder.with_name(folder.name + ".away").rename(folder)


class TestCsv(TestLines):
    """Of CSV, in one file that is packed: it keeps the contract."""

    def options(self, tmp_path: Path) -> dict[str, Any]:
        path = tmp_path / "in.csv.gz"
        if not path.exists():
            path.write_bytes(gzip.compress(b"number,body\n"))
        return {"path": str(path), "format": "csv", "read_max_messages": 3}

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        rows = [b"number,body", *(b'%d,"%s"' % (number, body.replace(b'"', b'""')) for number, body in enumerate(bodies))]
        (tmp_path / "in.csv.gz").write_bytes(gzip.compress(b"\n".join(rows)))

    def extremes(self) -> Sequence[bytes]:
        return [body for body in super().extremes() if body.decode("utf-8", "ignore").encode() == body]  # the others are no JSON

    def body(self, message: Message) -> bytes:
        return str(json.loads(message.raw)["body"]).encode()


async def read(path: Path | str, claims: MemoryClaims | None = None, **options: Any) -> list[tuple[int, bytes]]:
    """Offsets and bytes, of all files."""
    source = make(FileSource, path=str(path), **options)
    await source.open()
    reading = source.read(claims or MemoryClaims())
    return [(m.position.offset, m.raw) async for part in reading for m in part]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


async def test_lines(file: Path) -> None:
    """The line's number from 0 is the offset; empty lines count and are left out; the last needs no end; a BOM is none of it."""
    file.write_bytes(b'\xef\xbb\xbf{"a":1}\n\n\r\n{"a":2}\r\nlast')
    assert [(0, b'{"a":1}'), (3, b'{"a":2}'), (4, b"last")] == await read(file)


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
async def test_packed_files(tmp_path: Path, ending: str, pack: Any) -> None:
    """They are unpacked by their ending; one that is cut short halts where it is cut, after the lines before it."""
    path, lines = tmp_path / f"in.jsonl{ending}", [b"%d %d" % (n, n**20) for n in range(5000)]
    path.write_bytes(pack(b"\n".join(lines)))
    assert list(enumerate(lines)) == await read(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Drift, match=r"in.jsonl.*: line \d+ cannot be unpacked"):
        await read(path)


async def test_zstd(tmp_path: Path) -> None:
    """Where Python has it, it is unpacked; else what to do is said."""
    path = tmp_path / "in.zst"
    try:
        zstd = importlib.import_module("compression.zstd")
    except ImportError:
        path.write_bytes(b"")
        with pytest.raises(Drift, match=r"cannot read \.zst"):
            await read(path)
        return
    path.write_bytes(zstd.compress(b"a\nb"))
    assert [(0, b"a"), (1, b"b")] == await read(path)


CSV = b'id,name,price,note\r\n1,"a ""b""\nc",1.5,\r\n\r\n2,007,x,5\r\n'


@pytest.mark.parametrize("pieces", [1, 1000])
async def test_csv(tmp_path: Path, pieces: int) -> None:
    """A record is an object by the names of the first line, its offset its own first line; an empty field is null, a number one
    that is named and is one."""
    path = tmp_path / "in.csv"
    path.write_bytes(CSV)
    found = await read(path, format="csv", numbers=["id", "price"], read_max_messages=pieces)
    assert [1, 4] == [offset for offset, _ in found]
    assert [
        {"id": 1, "name": 'a "b"\nc', "price": 1.5, "note": None},
        {"id": 2, "name": "007", "price": "x", "note": "5"},
    ] == [json.loads(raw) for _, raw in found]


async def test_csv_without_names(tmp_path: Path) -> None:
    """The options name the columns, and the first line is a record; another delimiter."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"1;a\n2;b\n")
    found = await read(path, format="csv", columns=["n", "t"], delimiter=";")
    assert [(0, b'{"n":"1","t":"a"}'), (1, b'{"n":"2","t":"b"}')] == found


@pytest.mark.parametrize("line", [b"1", b"1,2,3", b'1,"a"b', b"1,\xff", b'1,"never closed'])
async def test_a_line_that_is_no_record(tmp_path: Path, line: bytes) -> None:
    """It goes on as it stands, which is no JSON object: whoever decodes it makes a dead letter of it."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"a,b\n1,2\n" + line)
    assert [(1, b'{"a":"1","b":"2"}'), (2, line)] == await read(path, format="csv")


@pytest.mark.parametrize("head", [b"a,a\n", b"a,\n", b'"a"b\n', b"\n"])
async def test_a_head_that_names_nothing(tmp_path: Path, head: bytes) -> None:
    """Names must be there, each once."""
    path = tmp_path / "in.csv"
    path.write_bytes(head + b"1,2\n")
    with pytest.raises(Drift, match="line 1 does not name the columns"):
        await read(path, format="csv")


async def test_lines_that_are_too_long(tmp_path: Path) -> None:
    """They halt with their number, and so does a quote that is never closed."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"a,b\n" + b"x" * 100)
    with pytest.raises(Drift, match=r"in.csv: line 2 is longer than 50 bytes"):
        await read(path, line_max_bytes=50)
    path.write_bytes(b'a,b\n1,"\n' + b"2,3\n" * 20)
    with pytest.raises(Drift, match=r"the record from line 2 is longer than 50 bytes") as found:
        await read(path, format="csv", line_max_bytes=50)
    assert "quote" in found.value.hint


async def test_goes_on_behind_what_was_read(file: Path) -> None:
    """A file that has grown: its new lines alone, and the ledger is shown the one before."""
    file.write_bytes(b"a\nb\n")
    claims = MemoryClaims()
    assert 2 == len(await read(file, claims))
    partition = Partition(str(file))
    claims.next[partition] = 2
    assert [] == await read(file, claims)
    file.write_bytes(b"a\nb\nc\nd")
    assert [(2, b"c"), (3, b"d")] == await read(file, claims)
    assert [b"b", b"b"] == [message.raw for message in claims.recognised]


async def test_a_file_that_was_cut(file: Path) -> None:
    """It has fewer lines than were read: halted, since it is another one."""
    file.write_bytes(b"a\n")
    with pytest.raises(Drift, match="has 1 lines, and 5 of it were read before"):
        await read(file, MemoryClaims({Partition(str(file)): 5}))


async def test_several_files(tmp_path: Path) -> None:
    """By name, each a partition of its own; folders are no files."""
    (tmp_path / "sub.d").mkdir()
    for name in ("b.d", "a.d", "sub.d/c.d"):
        (tmp_path / name).write_text(name)
    source = make(FileSource, path=str(tmp_path / "**/*.d"))
    found = [m async for part in source.read(MemoryClaims()) for m in part]
    assert [str(tmp_path / m.raw.decode()) for m in found] == [m.position.partition.topic for m in found]
    assert [b"a.d", b"b.d", b"sub.d/c.d"] == [m.raw for m in found]


async def test_instances_share_the_files(tmp_path: Path) -> None:
    """Each is read by one of them."""
    for number in range(20):
        (tmp_path / f"{number}.d").write_text(str(number))
    shares = list[set[bytes]]()
    for instance in (1, 2):
        context = make_context(instance_id=instance, total_instances=2)
        source = make(FileSource, context, path=str(tmp_path / "*.d"))
        shares.append({m.raw async for part in source.read(MemoryClaims()) for m in part})
    assert (set(), 20, True) == (shares[0] & shares[1], len(shares[0] | shares[1]), bool(shares[0] and shares[1]))


async def test_no_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A pattern may match none, which is said; a name without one halts."""
    assert [] == await read(tmp_path / "*.d")
    assert "there is nothing to read" in caplog.text
    with pytest.raises(Drift, match="there is no file"):
        await read(tmp_path / "a.d")


async def test_a_name_that_looks_like_a_pattern(tmp_path: Path) -> None:
    """A file of just this name comes first."""
    (tmp_path / "a[1].d").write_text("x")
    assert [(0, b"x")] == await read(tmp_path / "a[1].d")


async def test_a_disk_that_gives_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come back: Unavailable, with the line."""

    def failing(path: Path) -> Any:
        raise OSError(5, "Input/output error")

    file.write_text("a")
    monkeypatch.setattr(records, "_opened", failing)
    with pytest.raises(Unavailable, match=r"in.jsonl: line 1: Input/output error"):
        await read(file)


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ({"columns": ["a"]}, "columns: only with `format: csv`"),
        ({"numbers": ["a"]}, "numbers: only with `format: csv`"),
        ({"format": "csv", "columns": ["a", "a"]}, "columns: one stands there twice"),
        ({"format": "csv", "delimiter": '"'}, "delimiter: '\"' cannot stand between fields"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], fact: str) -> None:
    """They are refused when the spec is read."""
    with pytest.raises(msgspec.ValidationError) as found:
        configure(FileSource, {"path": "x", **options})
    assert fact in str(found.value)
