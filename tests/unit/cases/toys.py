"""Components and files for tests of test files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stockifyd.api import Batch, Config, Drift, Message, Reject, Row, Sink, Source, Tables, Transform, Unavailable
from stockifyd.cases import Outcome, Report, Suite, load_suite, run_files
from stockifyd.registry import Registry


class Nothing(Config, frozen=True):
    """None."""


class Outside(Config, frozen=True):
    """An address that nobody dials."""

    address: str = "nowhere"


class Well(Source[Outside]):
    """Is never read."""

    type = "well"

    def __init__(self, *_: Any) -> None:
        raise AssertionError("a test makes no source")

    async def read(self, claims: Any) -> Any:
        yield []


class Parse(Transform[Nothing]):
    """JSON to values."""

    type = "parse"

    def apply(self, batch: Batch) -> Batch:
        return batch.map(self._parsed)

    def tables(self, before: Tables) -> Tables:
        return before

    def _parsed(self, message: Message) -> Any:
        try:
            return msgspec.json.decode(message.raw)
        except msgspec.DecodeError as error:
            raise Reject("no JSON", code="J1") from error


class Spread(Transform[Nothing]):
    """Items of a value to rows; what it knows of columns it does not tell."""

    type = "spread"

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("items", ("name", "price", "key", "seen_at"), self._rows)

    def _rows(self, message: Message) -> Iterable[Row]:
        key = (message.key or b"").decode()
        return [(item.get("name"), item.get("price"), key, self.context.now()) for item in message.value]


class Fails(Config, frozen=True):
    """How it fails."""

    by: str


class Fail(Transform[Fails]):
    """Fails."""

    type = "fail"
    closed = 0

    async def open(self) -> None:
        if self.config.by == "opening":
            raise Unavailable("no way", hint="make one")

    async def apply(self, batch: Batch) -> Batch:
        if self.config.by == "drift":
            raise Drift("a column is gone")
        if self.config.by == "bug":
            raise KeyError("x")
        if self.config.by == "hanging":
            await asyncio.Event().wait()
        return batch

    def tables(self, before: Tables) -> Tables:
        return before

    async def close(self) -> None:
        type(self).closed += 1


class Ask(Transform[Nothing]):
    """Adds what somebody outside says of the price; a case never asks him."""

    type = "ask"
    said: Mapping[str, Any]

    async def open(self) -> None:
        raise AssertionError("a test asks nobody")

    def rehearse(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for index, row in enumerate(rows):
            if "price" in row and not isinstance(row["price"], (int, float)):
                raise ValueError(f"{row['price']!r} is no price - at `$[{index}].price`")
        self.said = {row["name"]: row.get("price") for row in rows}

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("asked", ("name", "price"), lambda m: [(one["name"], self.said.get(one["name"])) for one in m.value])


class Wants(Config, frozen=True):
    """What it wants."""

    tables: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


class Drain(Sink[Wants]):
    """Is never opened."""

    type = "drain"

    async def open(self) -> None:
        raise AssertionError("a test opens no sink")

    async def write(self, batch: Batch) -> None:
        raise AssertionError("a test writes nothing")

    def wants(self) -> Tables:
        return self.config.tables


REGISTRY = Registry.of(Well, Parse, Spread, Ask, Fail, Drain)
ITEMS = [{"name": "a", "price": 1.5}, {"name": "b", "price": 2}]


def write_spec(folder: Path, transforms: str = "[{type: parse}, {type: spread}]", sinks: str = "[{type: drain}]") -> Path:
    """A spec called `shop`."""
    path = folder / "shop.yaml"
    path.write_text(
        f"version: 1\nname: shop\nsource: {{type: well}}\ntransforms: {transforms}\nsinks: {sinks}\n"
        "delivery: {dead_letters: {sink: {type: drain}}}\n"
    )
    return path


def write_cases(folder: Path, *cases: Mapping[str, Any], **more: Any) -> Path:
    """A test file for `shop`, in JSON, which is YAML."""
    path = folder / "shop.test.yaml"
    path.write_text(json.dumps({"version": 1, "pipeline": "shop", **more, "cases": list(cases)}, indent=1))
    return path


def case(expect: Mapping[str, Any], *messages: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A case; by default one message with two items."""
    return {"name": "one", "messages": list(messages) or [{"json": ITEMS, "key": "k"}], "expect": dict(expect), **more}


def load(folder: Path, text: str) -> Suite:
    """A test file of this text, read."""
    path = folder / "shop.test.yaml"
    path.write_text(text)
    return load_suite(path, REGISTRY)


def run(path: Path) -> Report:
    """The report of a file or a folder."""
    return run_files([path], REGISTRY)


def outcome_of(folder: Path, expect: Mapping[str, Any], *messages: Mapping[str, Any], **more: Any) -> Outcome:
    """What comes of one case."""
    report = run(write_cases(folder, case(expect, *messages, **more)))
    assert [] == [str(finding) for finding in report.findings]
    return report.outcomes[0]


def facts_of(folder: Path, expect: Mapping[str, Any], *messages: Mapping[str, Any], **more: Any) -> list[str]:
    """`path: fact` of each failure of one case, its path without what all have in common."""
    failures = outcome_of(folder, expect, *messages, **more).failures
    return [f"{f.finding.path.removeprefix('cases[0].expect.')}: {f.finding.fact}" for f in failures]
