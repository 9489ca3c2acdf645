"""What `generate` makes, and when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Message, configure
from stockifyd.testing import MemoryClaims, SourceContract, make, make_context
from stockifyd_basic import Generate, generate


class TestContract(SourceContract[Generate]):
    """It keeps the contract of sources; what is fed is how many it makes."""

    source = Generate
    count = 7

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"template": {"body": "message {n}", "r": "{random}", "t": "{now}"}, "count": self.count, "rate_per_sec": 1e6}

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        self.count = len(bodies)

    def extremes(self) -> Sequence[bytes]:
        return ()

    def body(self, message: Message) -> bytes:
        return str(json.loads(message.raw)["body"]).encode()


async def made(count: int, *, start: int = 0, instance_id: int = 1, **options: Any) -> list[Message]:
    context = make_context(instance_id=instance_id, total_instances=2)
    source = make(Generate, context, rate_per_sec=1e6, count=start + count, **options)
    claims = MemoryClaims({source._partition: start} if start else None)
    return [message async for part in source.read(claims) for message in part]


async def test_placeholders() -> None:
    """A text that is nothing but one becomes its value; in a longer text it is a part; all else stays as it is."""
    template = {
        "n": "{n}",
        "at": "{now}",
        "name": 'item-{n} of "{now}"',
        "list": [1, None, True, {"deep": "{n}"}],
        "{n}": "{N} {}",
    }
    [message] = await made(1, start=3, template=template, start_at="2026-11-24T09:15:00+05:30")
    at = "2026-11-24T03:45:00.000Z"
    expected = {"n": 3, "at": at, "name": f'item-3 of "{at}"', "list": [1, None, True, {"deep": 3}], "{n}": "{N} {}"}
    assert (expected, 1_795_491_900_000) == (json.loads(message.raw), message.timestamp_ms)


async def test_times_are_apart_by_the_rate() -> None:
    """`{now}` goes on from `start_at`, not from a clock: the same after a crash."""
    source = make(Generate, template={"at": "{now}"}, count=3, rate_per_sec=2)
    found = [m async for part in source.read(MemoryClaims()) for m in part]
    assert [0, 500, 1000] == [m.timestamp_ms - found[0].timestamp_ms for m in found]


async def test_random_numbers() -> None:
    """Within their bounds, whole if these are; other ones by seed and by instance, and the same again for each message."""
    template = {"a": "{random}", "b": "{random:1:6}", "c": "{random:-1.5:2}", "d": "{random}"}
    found = [json.loads(m.raw) for m in await made(500, template=template)]
    assert all(0 <= m["a"] < 1 and m["b"] in range(1, 7) and -1.5 <= m["c"] <= 2 and m["a"] != m["d"] for m in found)
    assert set(range(1, 7)) == {m["b"] for m in found}
    assert found[250:] == [json.loads(m.raw) for m in await made(250, start=250, template=template)]
    assert found != [json.loads(m.raw) for m in await made(500, template=template, seed=1)]
    assert found != [json.loads(m.raw) for m in await made(500, template=template, instance_id=2)]


async def test_an_instance_has_its_own_partition() -> None:
    """Two instances never claim the same."""
    [one], [two] = await made(1, template={}), await made(1, template={}, instance_id=2)
    assert (0, 1) == (one.position.partition.number, two.position.partition.number)


class Clock:
    """Time that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(generate, "monotonic", found)
    return found


async def test_what_is_due_comes_and_no_more(clock: Clock) -> None:
    """The first at once, the next one second later: until then there is nothing."""
    source = make(Generate, template={}, rate_per_sec=1)
    reading = source.read(MemoryClaims())
    found = list[int]()
    for secs in (0, 0.5, 0.5, 0.9, 0.2):
        clock.now += secs
        found.append(len(await anext(reading)))
    assert [1, 0, 1, 0, 1] == found
    await reading.aclose()


async def test_after_a_while_without_a_chance_there_is_no_flood(clock: Clock) -> None:
    """What was due while it was held up comes, but not more than a second's worth."""
    source = make(Generate, template={}, rate_per_sec=64)
    reading = source.read(MemoryClaims())
    assert 1 == len(await anext(reading))
    clock.now += 60
    assert [65, 0] == [len(await anext(reading)), len(await anext(reading))]
    await reading.aclose()


async def test_lag() -> None:
    """What is still to come, where there is an end."""
    source = make(Generate, template={}, count=3, rate_per_sec=1)
    reading = source.read(MemoryClaims())
    await anext(reading)
    assert [2] == [*source.lag().values()]
    assert {} == make(Generate, template={}).lag()
    await reading.aclose()


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("{nn}", "'{nn}' is none of {n}, {now}, {random} and {random:LOW:HIGH}"),
        ("at {n:1}", "'{n:1}' is none of"),
        ("{random:1}", "'{random:1}' is none of"),
        ("{random:a:b}", "'{random:a:b}': 'a' and 'b' must be numbers"),
        ("{random:2:1}", "'{random:2:1}': 2 is not below 1"),
        ("{random:1.0:inf}", "'{random:1.0:inf}': 1.0 is not below inf"),
    ],
)
def test_placeholders_that_are_none(text: str, fact: str) -> None:
    """They are found when the spec is read."""
    with pytest.raises(msgspec.ValidationError) as found:
        configure(Generate, {"template": {"deep": [{"x": text}]}})
    assert f"template: {fact}" in str(found.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)))
def test_any_json_stays_as_it_is(value: Any) -> None:
    """A template without a placeholder is the message."""
    try:
        source = make(Generate, template={"x": value})
    except msgspec.ValidationError as error:
        assert "is none of" in str(error)
        return
    if "{n" not in json.dumps(value):
        assert {"x": value} == json.loads(source._message(5).raw)
