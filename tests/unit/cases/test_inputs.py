"""The messages of a case."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from stockifyd.api import Message
from stockifyd.cases.inputs import Misfit, messages_of
from stockifyd.cases.model import Case


def messages(folder: Path, *inputs: dict[str, Any]) -> tuple[Message, ...]:
    return messages_of(msgspec.convert({"name": "a", "messages": inputs, "expect": {}}, Case), folder)


@pytest.mark.parametrize(
    ("body", "raw"),
    [
        ({"json": {"a": [1, 2.5, None]}}, b'{"a":[1,2.5,null]}'),
        ({"json": None}, b"null"),
        ({"json": 10**30}, b"1" + b"0" * 30),
        ({"text": '{"a": '}, b'{"a": '),
        ({"text": ""}, b""),
        ({"text": "\u20b9"}, b"\xe2\x82\xb9"),
        ({"base64": "/wA=\n"}, b"\xff\x00"),
        ({"file": "body.bin"}, b"\xff\n"),
    ],
)
def test_bodies(tmp_path: Path, body: dict[str, Any], raw: bytes) -> None:
    """Each kind of body, as bytes."""
    (tmp_path / "body.bin").write_bytes(b"\xff\n")
    assert [m.raw for m in messages(tmp_path, body)] == [raw]


def test_what_goes_with_it(tmp_path: Path) -> None:
    """Key, time and headers; offsets count from 0."""
    one, two = messages(
        tmp_path, {"json": 1}, {"json": 2, "key": "k", "timestamp": "2026-11-24T09:15:00.123+05:30", "headers": {"h": "v"}}
    )
    assert (one.position.offset, one.key, one.timestamp_ms, one.headers, one.value) == (0, None, 0, (), None)
    assert (two.position.offset, two.key, two.timestamp_ms, two.headers) == (1, b"k", 1_795_491_900_123, (("h", b"v"),))


def test_lines(tmp_path: Path) -> None:
    """A file of lines is as many messages, with what each line says; the value's bytes are kept as they are."""
    (tmp_path / "x.jsonl").write_text(
        '{"key": "a", "timestamp_ms": 5, "value": {"n":  1.50}}\n\n{"value": null, "headers": {"h": "v"}}\n'
    )
    one, two = messages(tmp_path, {"lines": "x.jsonl"})
    assert (one.raw, one.key, one.timestamp_ms) == (b'{"n":  1.50}', b"a", 5)
    assert (two.raw, two.key, two.headers, two.position.offset) == (b"null", None, (("h", b"v"),), 1)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"file": "no"}, ((1, "file"), "'{folder}/no' cannot be read: no such file or directory")),
        ({"lines": "."}, ((1, "lines"), "'{folder}' cannot be read: is a directory")),
        ({"base64": "%"}, ((1, "base64"), "not base64: only base64 data is allowed")),
        ({"lines": "x"}, ((1, "lines"), "line 2 is no message: Object missing required field `value`")),
    ],
)
def test_misfits(tmp_path: Path, body: dict[str, Any], told: tuple[Any, str]) -> None:
    """What makes no message is told with its place."""
    (tmp_path / "x").write_text('{"value": 1}\n{"key": "a"}\n')
    with pytest.raises(Misfit) as raised:
        messages(tmp_path, {"json": 1}, body)
    assert (raised.value.path, raised.value.fact) == (told[0], told[1].replace("{folder}", str(tmp_path)))


def test_a_file_too_big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that nobody meant is not read whole."""
    monkeypatch.setattr("stockifyd.cases.inputs.MAX_FILE_BYTES", 3)
    (tmp_path / "x").write_text("1234")
    with pytest.raises(Misfit, match="is bigger than 3 bytes"):
        messages(tmp_path, {"file": "x"})
